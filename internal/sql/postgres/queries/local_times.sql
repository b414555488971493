-- The columns of the tables in the schema $1 whose value depends on the TimeZone of the session that writes them: their
-- default is the session's local time, or they convert to and from it. The table of migrations is the service's alone.
SELECT c.relname || '.' || a.attname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text) AND c.relkind IN ('r', 'p')
    AND (a.atttypid = 'timestamptz'::pg_catalog.regtype
        OR a.atttypid = 'timestamp'::pg_catalog.regtype AND c.relname <> 'tenant_provisioner_migrations'
            AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~* '(now\(\)|timestamp)'
            AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) !~* 'time ?zone')
ORDER BY 1
