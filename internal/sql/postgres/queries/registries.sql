-- The registries in this database, except the one in the schema $1: the schema, its comment, and whether this role may
-- read the registry. Only plain tables with text columns count: reading anything else could run code of its owner.
-- Temporary tables of other sessions cannot be read.
SELECT n.nspname::text, coalesce(d.description, ''),
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
        AND NOT pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0
    AND d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
WHERE c.relname = 'tenant_registry' AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    AND n.nspname <> $1::text
    AND (SELECT count(*) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname IN ('tenant_id', 'schema_name') AND NOT a.attisdropped
            AND a.atttypid IN ('text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype)) = 2
ORDER BY 1
