-- The relations in the schema $1 that have pages, or are foreign tables: take_prepared.sql passes over others that do.
SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
WHERE d.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
    AND (c.relkind = 'f' OR pg_catalog.pg_relation_size(c.oid) > 0)
