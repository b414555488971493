-- Whether this replica is the one that fills the pool. $1 lock key
SELECT pg_catalog.pg_try_advisory_xact_lock($1::bigint)
