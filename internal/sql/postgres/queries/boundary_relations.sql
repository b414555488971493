-- The relations in the schema $1, without indexes, and their versions (unaltered.sql); the names of those that have pages
-- or are foreign tables, without sequences, which always have one; and of those that this role does not own.
SELECT coalesce(array_agg(c.oid ORDER BY c.oid), '{}')::text, coalesce(array_agg(c.xmin ORDER BY c.oid), '{}')::text,
    coalesce(array_agg(c.relname::text ORDER BY c.relname)
        FILTER (WHERE c.relkind = 'f' OR c.relkind <> 'S' AND pg_catalog.pg_relation_size(c.oid) > 0), '{}'),
    coalesce(array_agg(c.relname::text ORDER BY c.relname)
        FILTER (WHERE NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')), '{}')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
WHERE d.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
