-- Removes at most $2 requests that were decided before $1, the oldest first, from those created at $3, and records that
-- they may be missing. A request that another transaction has locked stays. Returns how many were removed, and when the
-- last of them was created.
WITH marked AS (
    UPDATE {registry}.registry_stamp SET pruned_before = $1::timestamp
    WHERE pruned_before IS NULL OR pruned_before < $1::timestamp
), pruned AS (
    DELETE FROM {registry}.tenant_requests WHERE request_key IN (
        SELECT request_key FROM {registry}.tenant_requests
        WHERE created_at >= $3::timestamp AND created_at < $1::timestamp AND updated_at < $1::timestamp AND state <> 'running'
        ORDER BY created_at, request_key
        LIMIT $2::integer
        FOR UPDATE SKIP LOCKED)
    RETURNING created_at
)
SELECT count(*), coalesce(max(created_at), $3::timestamp) FROM pruned
