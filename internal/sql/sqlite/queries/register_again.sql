INSERT INTO tenant_registry (tenant_id, display_name, is_system, isolation_strategy, database_path,
    created_at, created_by, last_updated_at)
SELECT json_extract(outcome, '$.data.tenant_id'), json_extract(outcome, '$.data.display_name'), 0,
    json_extract(outcome, '$.data.isolation_strategy'), json_extract(outcome, '$.data.database_path'),
    replace(rtrim(json_extract(outcome, '$.data.created_at'), 'Z'), 'T', ' '), json_extract(outcome, '$.data.created_by'),
    replace(rtrim(json_extract(outcome, '$.data.created_at'), 'Z'), 'T', ' ')
FROM tenant_requests WHERE request_key = {key};
