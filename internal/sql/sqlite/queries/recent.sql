-- As entry.sql: all running requests, then those that changed last. ?1 maximum
SELECT request_key, coalesce(tenant_id, ''), state, replay, coalesce(outcome_id, ''), CAST(updated_at AS TEXT),
    coalesce(buried = outcome_id, false), iif(buried = outcome_id, coalesce(buried_in, ''), '')
FROM tenant_requests
ORDER BY state = 'running' DESC, updated_at DESC
LIMIT ?1
