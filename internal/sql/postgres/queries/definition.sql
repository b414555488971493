-- The definition with the fingerprint $1: fingerprint, version of the server, structure in JSON.
SELECT fingerprint, server, structure
FROM {registry}.definitions
WHERE fingerprint = $1::text
