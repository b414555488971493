-- How many boundaries of the definition $1 are ready. What can never be renamed is not: its schema is gone, or is
-- somebody else's.
SELECT count(*)
FROM {registry}.prepared_boundaries p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schema_name
WHERE p.definition = $1::text AND pg_catalog.pg_has_role(n.nspowner, 'USAGE')
