-- Counts the boundaries of the definition $1 that are ready. Those that cannot be renamed do not count: their schema is
-- missing, or has another owner.
SELECT count(*)
FROM {registry}.prepared_boundaries p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schema_name
WHERE p.definition = $1::text AND pg_catalog.pg_has_role(n.nspowner, 'USAGE')
