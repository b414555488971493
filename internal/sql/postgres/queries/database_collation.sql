-- The recorded and the present version of the database's own collation; empty: it has none. Since PostgreSQL 15.
SELECT coalesce(d.datcollversion, ''), coalesce(pg_catalog.pg_database_collation_actual_version(d.oid), '')
FROM pg_catalog.pg_database d
WHERE d.datname = pg_catalog.current_database()
