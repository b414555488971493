-- Another request that has provisioned the tenant ?1. ?2 key of this one
SELECT source, request_id
FROM tenant_requests
WHERE tenant_id = ?1 AND state = 'provisioned' AND request_key <> ?2
LIMIT 1
