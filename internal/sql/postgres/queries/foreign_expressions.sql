-- The expressions that migrations have created in the registry's schema, $1, and that use a function, an operator or a
-- collation outside pg_catalog. Dependencies on the server's own objects are not recorded. What operators have added is
-- theirs.
WITH r AS MATERIALIZED (
    SELECT c.oid, c.relkind
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
        AND c.relname IN ('tenant_registry_lower_tenant_id', 'tenant_requests', 'prepared_boundaries',
            'tenant_provisioner_migrations')
)
SELECT pg_catalog.pg_describe_object(o.class, o.id, 0) || ' uses '
    || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, r.oid AS id FROM r WHERE r.relkind = 'i'
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid
    FROM r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
    WHERE k.conname IN ('tenant_requests_state_check', 'tenant_requests_check', 'tenant_requests_check1',
        'prepared_boundaries_schema_name_check')
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, a.oid
    FROM r JOIN pg_catalog.pg_attrdef a ON a.adrelid = r.oid
    JOIN pg_catalog.pg_attribute c ON c.attrelid = a.adrelid AND c.attnum = a.adnum
    WHERE c.attname = 'tstamp'
) o
JOIN pg_catalog.pg_depend d ON d.classid = o.class AND d.objid = o.id
WHERE d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
    'pg_catalog.pg_collation'::pg_catalog.regclass)
ORDER BY 1
