-- The server process of this session, whether the settings made at its start are in force, the database's encoding, and
-- whether the server's writes reach the disk.
SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.=) 'pg_catalog',
    pg_catalog.current_setting('server_encoding'), pg_catalog.current_setting('fsync')::boolean
