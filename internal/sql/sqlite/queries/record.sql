-- Everything that the ledger stores of a request. ?1 key. A ledger that this version has not migrated lacks buried_in: the
-- name then means the NULL beside the table.
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    CAST(created_at AS TEXT), CAST(updated_at AS TEXT),
    coalesce(outcome_id, ''), coalesce(outcome, ''), coalesce(buried = outcome_id, false),
    coalesce((SELECT buried_in FROM tenant_requests WHERE request_key = ?1), ''), history
FROM tenant_requests, (SELECT NULL AS buried_in) AS earlier
WHERE request_key = ?1
