-- The sequences in the schema $1, and their increments.
SELECT c.relname::text, s.seqincrement
FROM pg_catalog.pg_sequence s
JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
ORDER BY c.relname
