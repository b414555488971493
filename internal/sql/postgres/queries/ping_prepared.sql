-- Whether boundaries may be put into the pool and taken from it.
SELECT bool_and(pg_catalog.has_table_privilege('{registry}.prepared_boundaries', p))
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
