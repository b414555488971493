-- Whether the last attempt has begun, and nothing became of it for so long that it has ended. Where its
-- transaction still holds the row it has not, which is told at once: 55P03. $1 key, $2 seconds
SELECT history -> -1 ->> 'event' = 'begun'
    AND (history -> -1 ->> 'at')::timestamp <= clock_timestamp() AT TIME ZONE 'utc' - make_interval(secs => $2::double precision)
FROM {registry}.tenant_requests
WHERE request_key = $1::text AND state = 'running' AND history <> '[]'
FOR UPDATE NOWAIT
