-- The latest ?2 requests for the tenant ?1, without outcome, history and the stream of the dead letter.
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    CAST(created_at AS TEXT), CAST(updated_at AS TEXT),
    coalesce(outcome_id, ''), '', coalesce(buried = outcome_id, false), '', '[]'
FROM tenant_requests
WHERE tenant_id = ?1
ORDER BY created_at DESC, request_key
LIMIT ?2
