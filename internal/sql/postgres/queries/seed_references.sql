-- The foreign keys among the tables $2 (names) of the schema $1: from, to, deferrable.
SELECT f.relname::text, t.relname::text, k.condeferrable
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class f ON f.oid = k.conrelid
JOIN pg_catalog.pg_class t ON t.oid = k.confrelid
WHERE k.contype = 'f' AND f.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
    AND t.relnamespace = f.relnamespace AND f.relname = ANY ($2::text[]) AND t.relname = ANY ($2::text[])
ORDER BY f.relname, k.conname
