-- Schemas whose comment begins with $1, and the comments. $2 also those on which this role may not comment, $3 the maximum;
-- null: all
SELECT n.nspname::text, d.description
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_namespace n ON n.oid = d.objoid
WHERE d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objsubid = 0
    AND starts_with(d.description, $1::text) AND ($2::boolean OR pg_catalog.pg_has_role(n.nspowner, 'USAGE'))
ORDER BY n.nspname
LIMIT $3::integer
