-- $1 tenant, $2 display name, $3 strategy, $4 schema, $5 created at (UTC), $6 created by
INSERT INTO {registry}.tenant_registry
    (tenant_id, display_name, is_system, isolation_strategy, schema_name,
     created_at, created_by, last_updated_at, last_updated_by)
VALUES ($1::text, $2::text, false, $3::text, $4::text,
    $5::text::timestamp, $6::text, $5::text::timestamp, NULL)
