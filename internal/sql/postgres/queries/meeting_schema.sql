-- A schema that is registered in another registry and that the template here can give as well.
-- $1 what the template begins with, $2 what it ends in, $3 the schema of that registry
SELECT schema_name::text
FROM {neighbour}.tenant_registry
WHERE schema_name <> $3::text AND starts_with(schema_name::text, $1::text)
    AND right(schema_name::text, length($2::text)) = $2::text
    AND length(schema_name::text) > length($1::text) + length($2::text)
ORDER BY 1
LIMIT 1
