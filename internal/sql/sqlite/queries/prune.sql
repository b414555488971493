-- Removes at most ?2 requests that were decided before ?1, the oldest first, from those created at ?3. Returns when each
-- was created.
DELETE FROM tenant_requests WHERE request_key IN (
    SELECT request_key FROM tenant_requests
    WHERE created_at >= ?3 AND created_at < ?1 AND updated_at < ?1 AND state <> 'running'
    ORDER BY created_at, request_key
    LIMIT ?2)
RETURNING CAST(created_at AS TEXT)
