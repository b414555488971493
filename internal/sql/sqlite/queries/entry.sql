-- What the comparison with the streams needs of a request. ?1 key
SELECT request_key, coalesce(tenant_id, ''), state, replay, coalesce(outcome_id, ''), CAST(updated_at AS TEXT),
    coalesce(buried = outcome_id, false), iif(buried = outcome_id, coalesce(buried_in, ''), '')
FROM tenant_requests
WHERE request_key = ?1
