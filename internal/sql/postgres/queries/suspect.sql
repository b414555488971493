-- Whether the last attempt has begun, and nothing became of it for so long that it has ended: neither an entry in the
-- history nor a renewal of its lease. Where its transaction still holds the row it has not ended, which is told at
-- once: 55P03. And whether it is the last that there may be, and its lease is not over: see claim.sql.
-- $1 key, $2 seconds, $3 most attempts, $4 what the names of deliveries of this message begin with or '', $5 lease in
-- seconds, $6 lease for others, $7 name of this delivery, $8 replay
SELECT history -> -1 ->> 'event' = 'begun'
    AND updated_at <= clock_timestamp() AT TIME ZONE 'utc' - make_interval(secs => $2::double precision),
    attempts >= $3::integer AND replay >= $8::integer AND coalesce(claim, '') <> $7::text
    AND updated_at > clock_timestamp() AT TIME ZONE 'utc' - make_interval(secs => CASE
        WHEN $4::text <> '' AND starts_with(claim, $4::text) THEN $5::double precision
        ELSE $6::double precision END)
FROM {registry}.tenant_requests
WHERE request_key = $1::text AND state = 'running' AND history <> '[]'
FOR UPDATE NOWAIT
