-- The oid of this database.
SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
