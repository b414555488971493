-- Taken before anything is looked at: CREATE SCHEMA IF NOT EXISTS alone races. The shared lock says that somebody
-- is at work, to who fills the pool of prepared boundaries (is_quiet.sql). $1 lock key, $2 key of the work
SELECT pg_catalog.pg_advisory_xact_lock_shared($2::bigint), pg_catalog.pg_advisory_xact_lock($1::bigint)
