-- The server process of this session, whether the settings made at its start are in force, and the database's encoding.
SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.=) 'pg_catalog',
    pg_catalog.current_setting('server_encoding')
