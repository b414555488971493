-- Locks the row of a request, which writes WAL, if commits wait for synchronous standbys. So this commit waits for them,
-- and with that for all earlier commits. Without standbys a commit is visible only once it is on the disk, and this one
-- waits for nothing. KEY SHARE: sessions that do the same for the same row do not block each other. $1 key
SELECT request_key FROM {registry}.tenant_requests
WHERE request_key = $1::text AND (
{replicated})
FOR KEY SHARE
