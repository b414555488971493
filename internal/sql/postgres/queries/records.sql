-- The latest $2 requests for the tenant $1, without outcome, history and the stream of the dead letter.
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'),
    coalesce(outcome_id::text, ''), '', coalesce(buried = outcome_id, false), '', '[]'
FROM {registry}.tenant_requests
WHERE tenant_id = $1::text
ORDER BY created_at DESC, request_key
LIMIT $2::integer
