-- The server process of this session, and whether a setting requested at its start is in force.
SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('row_security') = 'off'
