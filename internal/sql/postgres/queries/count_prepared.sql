-- Counts the boundaries of the definition $1: those that are ready, and with those that a running pg_dump can see,
-- which are passed over (take_prepared.sql). Those that cannot be renamed do not count: their schema is missing, or
-- has another owner.
SELECT count(*) FILTER (WHERE dumps.newest IS NULL OR p.ordered AND pg_catalog.age(p.xmin) BETWEEN 0 AND dumps.newest),
    count(*),
{has_standby}
FROM {registry}.prepared_boundaries p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schema_name
CROSS JOIN (
{dumps}) AS dumps
WHERE p.definition = $1::text AND pg_catalog.pg_has_role(n.nspowner, 'USAGE')
