-- Limits a migration's transaction, whatever DATABASE_URL, role and database say: how long it waits for a lock, and how
-- long it may be idle before the server ends it, because its process is frozen. $1, $2 milliseconds
SELECT pg_catalog.set_config('lock_timeout', $1::text, true),
    pg_catalog.set_config('idle_in_transaction_session_timeout', $2::text, true)
