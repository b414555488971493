-- Prepares the transaction for scripts. It returns the timeouts that were in force.
-- $1 the schema, quoted, $2 lock_timeout, $3 statement_timeout, milliseconds
SELECT before.lock, before.statement, pg_catalog.set_config('search_path', $1::text, true),
    pg_catalog.set_config('lock_timeout', $2::text, true), pg_catalog.set_config('statement_timeout', $3::text, true)
FROM (SELECT pg_catalog.current_setting('lock_timeout') AS lock,
    pg_catalog.current_setting('statement_timeout') AS statement OFFSET 0) AS before
