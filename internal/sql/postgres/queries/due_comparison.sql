-- A boundary of the definition that was not compared in full for a while, locked so that no attempt takes it. None while
-- a pg_dump runs: see set_compared.sql. $1 definition, $2 seconds, $3 those that are passed over
SELECT p.schema_name
FROM {registry}.prepared_boundaries p, (
{dumps}) AS dumps
WHERE p.definition = $1::text AND dumps.newest IS NULL AND p.schema_name <> ALL ($3::text[])
    AND (p.compared_at IS NULL OR clock_timestamp() AT TIME ZONE 'utc' - p.compared_at > $2::float8 * interval '1 second')
LIMIT 1
FOR UPDATE OF p SKIP LOCKED
