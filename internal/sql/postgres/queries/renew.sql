-- Renews the lease of a running attempt: it counts from now. If the attempt's transaction holds the row, that already
-- shows that it is running, and this statement does not wait for it. $1 key, $2 replay, $3 attempt, $4 its claim or ''
UPDATE {registry}.tenant_requests SET updated_at = clock_timestamp() AT TIME ZONE 'utc'
WHERE request_key = (
    SELECT request_key
    FROM {registry}.tenant_requests
    WHERE request_key = $1::text AND replay = $2::integer AND attempts = $3::integer AND coalesce(claim, '') = $4::text
        AND state = 'running'
    FOR UPDATE SKIP LOCKED
)
