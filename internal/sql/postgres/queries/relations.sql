-- Everything in the schema $1 that can hold rows.
SELECT c.relname, c.relkind::text
FROM pg_catalog.pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
    AND c.relkind IN ('r', 'p', 'm', 'f')
ORDER BY c.relname
