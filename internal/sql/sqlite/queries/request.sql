-- The ledger's row of a request. ?1 key
SELECT state, replay, attempts, coalesce(outcome_id, ''), coalesce(outcome, ''), coalesce(buried = outcome_id, false),
    coalesce(buried_in, ''), CAST(updated_at AS TEXT), coalesce(claim, '')
FROM tenant_requests
WHERE request_key = ?1
