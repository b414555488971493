-- Held by the one replica that migrates; the others wait. $1 lock key
SELECT pg_catalog.pg_advisory_lock($1::bigint)
