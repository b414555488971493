-- Everything in the schema $1 that can hold rows. A materialized view that was never populated cannot be queried.
SELECT c.relname, c.relkind::text
FROM pg_catalog.pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
    AND c.relkind IN ('r', 'p', 'm', 'f')
    AND c.relispopulated
ORDER BY c.relname
