-- Whether the last attempt has begun, and nothing became of it since ?2: neither an entry in the history nor a renewal
-- of its lease. And whether it is the last that there may be, and its lease is not over: see claim.sql.
-- ?1 key, ?3 most attempts, ?4 what the names of deliveries of this message begin with or '', ?5 now less the lease,
-- ?6 now less the lease for others, ?7 name of this delivery, ?8 replay
SELECT json_extract(history, '$[#-1].event') = 'begun' AND updated_at <= ?2,
    attempts >= ?3 AND replay >= ?8 AND coalesce(claim, '') <> ?7
    AND updated_at > iif(?4 <> '' AND substr(claim, 1, length(?4)) = ?4, ?5, ?6)
FROM tenant_requests
WHERE request_key = ?1 AND state = 'running' AND history <> '[]'
