-- The latest requests for the tenant ?1, ?2 of them, without what is large.
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    CAST(created_at AS TEXT), CAST(updated_at AS TEXT),
    coalesce(outcome_id, ''), '', coalesce(buried = outcome_id, false), '[]'
FROM tenant_requests
WHERE tenant_id = ?1
ORDER BY created_at DESC, request_key
LIMIT ?2
