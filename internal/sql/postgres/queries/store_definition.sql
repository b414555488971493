-- $1 fingerprint, $2 version of the server, $3 structure in JSON
INSERT INTO {registry}.definitions (fingerprint, server, structure, stored_at)
VALUES ($1::text, $2::text, $3::text, clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (fingerprint) DO UPDATE
SET server = excluded.server, structure = excluded.structure, stored_at = excluded.stored_at
