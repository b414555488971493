-- What inspect.sql omits because it is not in the definition: the names of the relations $1, qualified if in another
-- schema than $3, and the rules of the tables $2.
SELECT c.oid::text, CASE n.nspname WHEN $3::text THEN '' ELSE n.nspname || '.' END || c.relname, ''
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::text[]::oid[])
UNION ALL
SELECT r.ev_class::text, '', r.rulename::text
FROM pg_catalog.pg_rewrite r
WHERE r.ev_class = ANY ($2::text[]::oid[]) AND r.rulename <> '_RETURN'
ORDER BY 3
