-- Whether nobody else fills the pool. $1 lock key
SELECT pg_catalog.pg_try_advisory_xact_lock($1::bigint)
