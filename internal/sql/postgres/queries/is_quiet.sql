-- Whether no replica has an attempt in its transaction. The lock is released when the statement ends. $1 work key
SELECT pg_catalog.pg_try_advisory_xact_lock($1::bigint)
