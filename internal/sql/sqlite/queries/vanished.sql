-- Whether the last attempt has started and vanished: for the time ?2 neither an entry in the history nor a renewal of
-- its lease, or both only in the future, when a clock was ahead. Also: whether it is the last permitted attempt and its
-- lease is still valid, see claim.sql.
-- ?1 key, ?2 seconds, ?3 maximum of attempts, ?4 prefix of this message's delivery names or '', ?5 lease in seconds, ?6
-- lease for others, ?7 name of this delivery, ?8 replay, ?9 now
SELECT json_extract(history, '$[#-1].event') = 'begun' AND abs(julianday(?9) - julianday(updated_at)) * 86400 >= ?2,
    attempts >= ?3 AND replay >= ?8 AND coalesce(claim, '') <> ?7
    AND abs(julianday(?9) - julianday(updated_at)) * 86400
        < iif(?4 <> '' AND substr(claim, 1, length(?4)) = ?4, ?5, ?6)
FROM tenant_requests
WHERE request_key = ?1 AND state = 'running' AND history <> '[]'
