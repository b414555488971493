-- ordered: no older transaction runs. Every snapshot that sees the boundary is then younger than it; with an older
-- transaction, the age of a snapshot, which is that of the oldest transaction, would not show it.
-- $1 schema, $2 definition, $3 its relations, $4 their versions
INSERT INTO {registry}.prepared_boundaries
    (schema_name, definition, created_at, stamped, ordered, relations, versions, compared_at)
VALUES ($1::text, $2::text, clock_timestamp() AT TIME ZONE 'utc', true,
    pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) = pg_catalog.pg_current_xact_id(),
    $3::text::oid[], $4::text::xid[], clock_timestamp() AT TIME ZONE 'utc')
