-- Whether the last attempt has started and vanished: since ?2 neither an entry in the history nor a renewal of its
-- lease. Also: whether it is the last permitted attempt and its lease is still valid, see claim.sql.
-- ?1 key, ?3 maximum of attempts, ?4 prefix of this message's delivery names or '', ?5 now less the lease, ?6 now less
-- the lease for others, ?7 name of this delivery, ?8 replay
SELECT json_extract(history, '$[#-1].event') = 'begun' AND updated_at <= ?2,
    attempts >= ?3 AND replay >= ?8 AND coalesce(claim, '') <> ?7
    AND updated_at > iif(?4 <> '' AND substr(claim, 1, length(?4)) = ?4, ?5, ?6)
FROM tenant_requests
WHERE request_key = ?1 AND state = 'running' AND history <> '[]'
