-- The structure of the tables $2 in the schema $1, one JSON object a table, by catalogue and oid: no
-- search_path takes part.
SELECT json_build_object(
    'name', c.relname,
    'kind', CASE WHEN c.relispartition THEN 'partition' ELSE c.relkind::text END,
    'persistence', c.relpersistence,
    'row_security', c.relrowsecurity,
    'columns', (
        SELECT json_agg(json_build_object(
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'generated', a.attgenerated <> '' OR a.attidentity <> '',
            'not_null', a.attnotnull,
            'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        ) ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ),
    'constraints', (
        SELECT json_agg(json_build_object(
            'name', k.conname,
            'type', k.contype,
            'columns', (
                SELECT json_agg(a.attname ORDER BY u.n)
                FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, n)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
            ),
            'table', CASE WHEN f.relnamespace = c.relnamespace THEN f.relname::text
                ELSE n.nspname || '.' || f.relname END,
            'foreign_columns', (
                SELECT json_agg(a.attname ORDER BY u.n)
                FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, n)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
            ),
            'on_delete', k.confdeltype,
            'on_update', k.confupdtype,
            'deferrable', k.condeferrable,
            'validated', k.convalidated
        ) ORDER BY k.conname)
        FROM pg_catalog.pg_constraint k
        LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.relnamespace
        WHERE k.conrelid = c.oid
    ),
    'indexes', (
        SELECT json_agg(json_build_object(
            'name', i.relname,
            'unique', x.indisunique,
            'primary', x.indisprimary,
            'whole', x.indisvalid AND x.indisready AND x.indpred IS NULL AND x.indexprs IS NULL,
            'columns', (
                SELECT json_agg(a.attname ORDER BY u.n)
                FROM unnest(x.indkey) WITH ORDINALITY AS u (attnum, n)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
                WHERE u.n <= x.indnkeyatts
            )
        ) ORDER BY i.relname)
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid
    ),
    'triggers', (
        SELECT json_agg(t.tgname ORDER BY t.tgname)
        FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
    ),
    'rules', (
        SELECT json_agg(r.rulename ORDER BY r.rulename)
        FROM pg_catalog.pg_rewrite r
        WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
    )
)::text
FROM pg_catalog.pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
    AND c.relname = ANY ($2::text[])
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
