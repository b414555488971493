-- The definition that a service has stored last: fingerprint, version of the server, structure in JSON.
SELECT fingerprint, server, structure
FROM {registry}.definitions
ORDER BY stored_at DESC
LIMIT 1
