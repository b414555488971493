-- The recorded and the present version of a collation of the C library with the database's locale. Before PostgreSQL 15
-- no version of the database's own collation is recorded; this one is of the time when the cluster was made.
SELECT c.collversion, coalesce(pg_catalog.pg_collation_actual_version(c.oid), '')
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_collation c ON c.collencoding IN (-1, d.encoding) AND c.collprovider = 'c'
    AND lower(replace(c.collcollate::text, '-', '')) = lower(replace(d.datcollate::text, '-', ''))
WHERE d.datname = pg_catalog.current_database() AND c.collversion IS NOT NULL
LIMIT 1
