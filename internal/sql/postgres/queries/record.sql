-- Everything that the ledger stores of a request. $1 key
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'),
    coalesce(outcome_id::text, ''), coalesce(outcome::text, ''), coalesce(buried = outcome_id, false), history::text
FROM {registry}.tenant_requests
WHERE request_key = $1::text
