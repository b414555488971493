-- Whether the last attempt has started and vanished: for the time $2 neither an entry in the history nor a renewal of
-- its lease, or both only in the future, when a clock was ahead. If its transaction still holds the row, it is running,
-- and the statement fails at once with 55P03. Also: whether it is the last permitted attempt and its lease is still
-- valid, see claim.sql.
-- $1 key, $2 seconds, $3 maximum of attempts, $4 prefix of this message's delivery names or '', $5 lease in seconds, $6
-- lease for others, $7 name of this delivery, $8 replay
SELECT history -> -1 ->> 'event' = 'begun'
    AND abs(extract(epoch FROM clock_timestamp() AT TIME ZONE 'utc' - updated_at)) >= $2::double precision,
    attempts >= $3::integer AND replay >= $8::integer AND coalesce(claim, '') <> $7::text
    AND abs(extract(epoch FROM clock_timestamp() AT TIME ZONE 'utc' - updated_at)) < CASE
        WHEN $4::text <> '' AND starts_with(claim, $4::text) THEN $5::double precision
        ELSE $6::double precision END
FROM {registry}.tenant_requests
WHERE request_key = $1::text AND state = 'running' AND history <> '[]'
FOR UPDATE NOWAIT
