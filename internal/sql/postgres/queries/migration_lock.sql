-- Held by the one replica that migrates, until its transaction ends; the others wait. $1 lock key
SELECT pg_catalog.pg_advisory_xact_lock($1::bigint)
