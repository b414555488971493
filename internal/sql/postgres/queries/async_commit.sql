-- Makes the commit of this transaction asynchronous. For what may be lost in a crash of the server, such as a count of
-- attempts.
SELECT pg_catalog.set_config('synchronous_commit', 'off', true)
