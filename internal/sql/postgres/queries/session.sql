-- Who serves this session, and whether a setting that it asked for when it began is in force.
SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('row_security') = 'off'
