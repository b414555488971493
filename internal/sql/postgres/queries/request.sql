-- The ledger's row of a request. $1 key
SELECT state, replay, attempts, coalesce(outcome_id::text, ''), coalesce(outcome::text, ''), coalesce(buried = outcome_id, false),
    coalesce(buried_in, ''), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'), coalesce(claim, '')
FROM {registry}.tenant_requests
WHERE request_key = $1::text
