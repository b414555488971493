-- Taken before anything is looked at: CREATE SCHEMA IF NOT EXISTS alone races. $1 lock key
SELECT pg_catalog.pg_advisory_xact_lock($1::bigint)
