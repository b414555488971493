-- What the ledger has of a request; the last column: how many seconds ago the attempt before the last began,
-- if nothing became of it, else -1. ?1 key, ?2 now
SELECT state, replay, attempts, coalesce(outcome_id, ''), coalesce(outcome, ''), buried,
    CASE WHEN json_extract(history, '$[#-2].event') = 'begun'
        THEN (julianday(?2) - julianday(json_extract(history, '$[#-2].at'))) * 86400.0
        ELSE -1 END
FROM tenant_requests
WHERE request_key = ?1
