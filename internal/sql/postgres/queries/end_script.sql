-- Ends the session $1 of this process, whose script ignores a cancellation. It returns the beginning of the statement
-- that it was running.
SELECT a.query, pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a WHERE a.pid = $1::integer
