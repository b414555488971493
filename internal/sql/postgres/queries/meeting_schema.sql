-- A schema that is registered in a neighbour's registry and whose name the template of this service can produce too. (A
-- comment must not contain the placeholder of that registry's schema: another role chooses that name, and a line break
-- in it would end the comment.)
-- $1 prefix of the template, $2 suffix of the template, $3 the schema of that registry
SELECT schema_name::text
FROM {neighbour}.tenant_registry
WHERE schema_name <> $3::text AND starts_with(schema_name::text, $1::text)
    AND right(schema_name::text, length($2::text)) = $2::text
    AND length(schema_name::text) > length($1::text) + length($2::text)
ORDER BY 1
LIMIT 1
