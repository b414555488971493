-- Locks the row of a request, which writes WAL. So the commit waits for the disk and the standbys, and with it for all
-- that was committed before. KEY SHARE: those who do the same for the same row do not wait for each other. $1 key
SELECT request_key FROM {registry}.tenant_requests WHERE request_key = $1::text FOR KEY SHARE
