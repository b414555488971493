INSERT INTO tenant_registry (tenant_id, display_name, is_system, isolation_strategy, database_path,
    created_at, created_by, last_updated_at, plan, plan_max_bytes, plan_max_rows, definition)
SELECT d->>'tenant_id', d->>'display_name', 0, d->>'isolation_strategy', d->>'database_path', at, d->>'created_by', at,
    d->>'plan', d->>'$.plan_limits.max_bytes', d->>'$.plan_limits.max_rows',
    d->>'definition'
FROM (
    SELECT d, substr(at || iif(instr(at, '.'), '', '.') || '000000', 1, 26) AS at
    FROM (
        SELECT outcome->'data' AS d, replace(rtrim(outcome->>'$.data.created_at', 'Z'), 'T', ' ') AS at
        FROM tenant_requests WHERE request_key = {key}
    )
);
INSERT OR IGNORE INTO applied_scripts (tenant_id, name, sha256, applied_at)
SELECT t.tenant_id, s.value->>'name', s.value->>'sha256', t.created_at
FROM tenant_requests r, tenant_registry t, json_each(r.outcome, '$.data.scripts') AS s
WHERE r.request_key = {key} AND t.tenant_id = r.outcome->>'$.data.tenant_id';
