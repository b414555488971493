-- The latest request of each tenant that was provisioned and is not registered, and its file. ?1 maximum
SELECT r.request_key, r.tenant_id, coalesce(json_extract(r.outcome, '$.data.database_path'), ''), max(r.updated_at)
FROM tenant_requests r
WHERE r.state = 'provisioned' AND r.tenant_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM tenant_registry t WHERE t.tenant_id = r.tenant_id)
GROUP BY r.tenant_id
ORDER BY r.tenant_id
LIMIT ?1
