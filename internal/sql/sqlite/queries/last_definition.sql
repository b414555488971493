-- The definition that a service has stored last: fingerprint, structure in JSON.
SELECT fingerprint, structure
FROM definitions
ORDER BY stored_at DESC
LIMIT 1
