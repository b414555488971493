-- $1 tenant, $2 display name, $3 strategy, $4 schema, $5 created at (UTC), $6 created by, $7 plan or '', $8 and $9 its
-- limits of bytes and rows or 0, $10 the fingerprint of the definition or ''
INSERT INTO {registry}.tenant_registry
    (tenant_id, display_name, is_system, isolation_strategy, schema_name,
     created_at, created_by, last_updated_at, last_updated_by, plan, plan_max_bytes, plan_max_rows, definition)
VALUES ($1::text, $2::text, false, $3::text, $4::text,
    $5::text::timestamp, $6::text, $5::text::timestamp, NULL,
    nullif($7::text, ''), nullif($8::bigint, 0), nullif($9::bigint, 0), nullif($10::text, ''))
