-- Removes at most ?2 requests that were decided before ?1, the oldest first.
DELETE FROM tenant_requests WHERE request_key IN (
    SELECT request_key FROM tenant_requests
    WHERE created_at < ?1 AND updated_at < ?1 AND state <> 'running'
    ORDER BY created_at, request_key
    LIMIT ?2)
