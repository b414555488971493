-- Everything that the ledger stores of a request. $1 key. A ledger that this version has not migrated lacks buried_in: the
-- name then means the NULL beside the table.
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'),
    coalesce(outcome_id::text, ''), coalesce(outcome::text, ''), coalesce(buried = outcome_id, false),
    coalesce((SELECT buried_in FROM {registry}.tenant_requests WHERE request_key = $1::text), ''), history::text
FROM {registry}.tenant_requests, (SELECT NULL::text AS buried_in) AS earlier
WHERE request_key = $1::text
