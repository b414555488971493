-- The attempt is alive: its lease counts from now. Where its transaction holds the row, that says so already, and is not
-- waited for. $1 key, $2 replay, $3 attempt, $4 its claim or ''
UPDATE {registry}.tenant_requests SET updated_at = clock_timestamp() AT TIME ZONE 'utc'
WHERE request_key = (
    SELECT request_key
    FROM {registry}.tenant_requests
    WHERE request_key = $1::text AND replay = $2::integer AND attempts = $3::integer AND coalesce(claim, '') = $4::text
        AND state = 'running'
    FOR UPDATE SKIP LOCKED
)
