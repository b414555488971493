-- The definition with the fingerprint ?1: fingerprint, structure in JSON.
SELECT fingerprint, structure
FROM definitions
WHERE fingerprint = ?1
