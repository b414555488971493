-- Limits a rehearsal's transaction, whatever DATABASE_URL says: how long it waits for a lock, and how long a statement
-- runs. $1, $2 milliseconds
SELECT pg_catalog.set_config('lock_timeout', $1::text, true), pg_catalog.set_config('statement_timeout', $2::text, true)
