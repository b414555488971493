-- Locks the row of a request, which writes WAL. So the commit waits for the disk and the standbys, and with that for
-- all earlier commits. KEY SHARE: sessions that do the same for the same row do not block each other. $1 key
SELECT request_key FROM {registry}.tenant_requests WHERE request_key = $1::text FOR KEY SHARE
