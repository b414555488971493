-- Whether the role may add boundaries to the pool and take them.
SELECT bool_and(pg_catalog.has_table_privilege('{registry}.prepared_boundaries', p))
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
