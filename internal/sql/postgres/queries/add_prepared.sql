-- $1 schema, $2 definition
INSERT INTO {registry}.prepared_boundaries (schema_name, definition, created_at, stamped)
VALUES ($1::text, $2::text, clock_timestamp() AT TIME ZONE 'utc', true)
