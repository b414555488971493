-- Runs before anything is read: CREATE SCHEMA IF NOT EXISTS alone races. The shared lock shows the filler of the pool
-- that an attempt is running (is_quiet.sql). $1 lock key, $2 work key
SELECT pg_catalog.pg_advisory_xact_lock_shared($2::bigint), pg_catalog.pg_advisory_xact_lock($1::bigint)
