-- Records a full comparison. The row's transaction is then this one, and no longer the one that built the boundary: its
-- age says nothing about the snapshots of dumps. So the boundary is passed over while any dump runs.
-- $1 schema, $2 its relations, $3 their versions
UPDATE {registry}.prepared_boundaries
SET relations = $2::text::oid[], versions = $3::text::xid[], compared_at = clock_timestamp() AT TIME ZONE 'utc',
    ordered = false
WHERE schema_name = $1::text
