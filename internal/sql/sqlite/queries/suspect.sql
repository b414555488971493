-- Whether the last attempt has begun, and nothing became of it since ?2. ?1 key
SELECT json_extract(history, '$[#-1].event') = 'begun' AND json_extract(history, '$[#-1].at') <= ?2
FROM tenant_requests
WHERE request_key = ?1 AND state = 'running' AND history <> '[]'
