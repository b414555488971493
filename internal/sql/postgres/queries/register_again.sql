INSERT INTO {registry}.tenant_registry (tenant_id, display_name, is_system, isolation_strategy, schema_name,
    created_at, created_by, last_updated_at, plan, plan_max_bytes, plan_max_rows, definition)
SELECT d->>'tenant_id', d->>'display_name', false, d->>'isolation_strategy', d->>'schema_name',
    (d->>'created_at')::timestamptz AT TIME ZONE 'utc', d->>'created_by', (d->>'created_at')::timestamptz AT TIME ZONE 'utc',
    d->>'plan', (d->'plan_limits'->>'max_bytes')::bigint, (d->'plan_limits'->>'max_rows')::bigint,
    d->>'definition'
FROM (SELECT outcome->'data' AS d FROM {registry}.tenant_requests WHERE request_key = {key}) AS r;
INSERT INTO {registry}.applied_scripts (tenant_id, name, sha256, applied_at)
SELECT d->>'tenant_id', s->>'name', s->>'sha256', (d->>'created_at')::timestamptz AT TIME ZONE 'utc'
FROM (SELECT outcome->'data' AS d FROM {registry}.tenant_requests WHERE request_key = {key}) AS r,
    json_array_elements(d->'scripts') AS s
ON CONFLICT DO NOTHING;
