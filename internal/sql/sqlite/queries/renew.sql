-- Renews the lease of a running attempt: it counts from now. ?1 key, ?2 replay, ?3 attempt, ?4 its claim or '', ?5 now
UPDATE tenant_requests SET updated_at = ?5
WHERE request_key = ?1 AND replay = ?2 AND attempts = ?3 AND coalesce(claim, '') = ?4 AND state = 'running'
