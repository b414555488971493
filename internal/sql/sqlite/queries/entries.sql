-- A page of entry.sql. ?1 the key before it, ?2 number of rows
SELECT request_key, coalesce(tenant_id, ''), state, replay, coalesce(outcome_id, ''), CAST(updated_at AS TEXT),
    coalesce(buried = outcome_id, false), iif(buried = outcome_id, coalesce(buried_in, ''), '')
FROM tenant_requests
WHERE request_key > ?1
ORDER BY request_key
LIMIT ?2
