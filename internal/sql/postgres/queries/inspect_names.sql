-- What inspect.sql omits because it is not in the definition, with its kind: the names of the relations $1, qualified if in
-- another schema than $3; rules, row policies, children and parents of the tables $2; which of the types $4 are domains;
-- which of the collations $5 take different texts for equal; and the types of schema $3 with a name of $6.
SELECT c.oid::text, CASE n.nspname WHEN $3::text THEN '' ELSE n.nspname || '.' END || c.relname, 'relation'
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::text[]::oid[])
UNION ALL
SELECT r.ev_class::text, r.rulename::text, 'rule'
FROM pg_catalog.pg_rewrite r
WHERE r.ev_class = ANY ($2::text[]::oid[]) AND r.rulename <> '_RETURN'
UNION ALL
SELECT p.polrelid::text, p.polname::text, 'policy'
FROM pg_catalog.pg_policy p
WHERE p.polrelid = ANY ($2::text[]::oid[])
UNION ALL
SELECT i.inhparent::text, i.inhrelid::pg_catalog.regclass::text, 'child'
FROM pg_catalog.pg_inherits i
WHERE i.inhparent = ANY ($2::text[]::oid[])
UNION ALL
SELECT i.inhrelid::text, i.inhparent::pg_catalog.regclass::text, 'parent'
FROM pg_catalog.pg_inherits i
WHERE i.inhrelid = ANY ($2::text[]::oid[])
UNION ALL
SELECT t.oid::text, t.typname::text, 'domain'
FROM pg_catalog.pg_type t
WHERE t.oid = ANY ($4::text[]::oid[]) AND t.typtype = 'd'
UNION ALL
SELECT l.oid::text, l.collname::text, 'collation'
FROM pg_catalog.pg_collation l
WHERE l.oid = ANY ($5::text[]::oid[]) AND NOT l.collisdeterministic
UNION ALL
SELECT t.oid::text, t.typname::text, 'type'
FROM pg_catalog.pg_type t
WHERE t.typnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $3::text) AND t.typname = ANY ($6::text[])
    AND t.typcategory <> 'A'
ORDER BY 2
