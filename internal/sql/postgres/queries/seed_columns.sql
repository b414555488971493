-- The columns of the relations $2 (names) of the schema $1: relation, kind, column, JSON (also a domain over it), not null,
-- generated, and whether a row that does not name it gets a value.
SELECT c.relname::text, c.relkind::text, coalesce(a.attname::text, ''),
    coalesce(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END IN (114, 3802), false),
    coalesce(a.attnotnull, false), coalesce(a.attgenerated <> '', false),
    coalesce(a.atthasdef OR a.attidentity <> '', false)
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
    AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY c.relname, a.attnum
