-- meeting_schema.sql for a registry that this role may not read: a schema with its stamp. $4 its stamp
SELECT n.nspname::text
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_namespace n ON n.oid = d.objoid
WHERE d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objsubid = 0
    AND starts_with(d.description, $4::text)
    AND n.nspname <> $3::text AND starts_with(n.nspname::text, $1::text)
    AND right(n.nspname::text, length($2::text)) = $2::text
    AND length(n.nspname::text) > length($1::text) + length($2::text)
ORDER BY 1
LIMIT 1
