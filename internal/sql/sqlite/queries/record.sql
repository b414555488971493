-- Everything that the ledger stores of a request. ?1 key
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    CAST(created_at AS TEXT), CAST(updated_at AS TEXT),
    coalesce(outcome_id, ''), coalesce(outcome, ''), coalesce(buried = outcome_id, false), history
FROM tenant_requests
WHERE request_key = ?1
