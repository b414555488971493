-- Every boundary in the pool, and every schema with the name of one that is neither in the pool nor a tenant's. A role
-- that may not create schemas is not the service's, so it cannot decide who should own them.
-- $1 definition, $2 prefix of the names, $3 the relations that must hold no rows; null: all
SELECT coalesce(p.schema_name, n.nspname::text), p.schema_name IS NOT NULL, coalesce(p.definition = $1::text, false),
    n.oid IS NOT NULL,
    EXISTS (SELECT FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_class c ON c.oid = d.objid
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid
            AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND (c.relkind = 'f' OR pg_catalog.pg_relation_size(c.oid) > 0)
            AND ($3::text[] IS NULL OR c.relname = ANY ($3::text[]))),
    CASE WHEN n.oid IS NULL OR pg_catalog.pg_has_role(n.nspowner, 'USAGE')
        OR NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') THEN ''
        ELSE pg_catalog.pg_get_userbyid(n.nspowner)::text END,
    coalesce(d.description, '')
FROM {registry}.prepared_boundaries p
FULL JOIN (SELECT oid, nspname, nspowner FROM pg_catalog.pg_namespace WHERE starts_with(nspname::text, $2::text)) n
    ON n.nspname = p.schema_name
LEFT JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0
    AND d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
WHERE p.schema_name IS NOT NULL
    OR NOT EXISTS (SELECT FROM {registry}.tenant_registry t WHERE t.schema_name = n.nspname)
ORDER BY 1
