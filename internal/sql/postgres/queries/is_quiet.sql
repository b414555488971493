-- Whether no attempt is at work in any replica. The lock is given back when the statement ends. $1 key of the work
SELECT pg_catalog.pg_try_advisory_xact_lock($1::bigint)
