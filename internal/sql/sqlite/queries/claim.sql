-- Claims a further attempt, unless there is an outcome already, or the last attempt may still be running. A claim that
-- is repeated because its confirmation was lost is the same attempt. The lease is short if the message of the last
-- attempt is redelivered, and long for all other messages. One that began further in the future than it is long has
-- expired too: a clock was ahead.
-- ?1 key, ?2 source, ?3 id, ?4 tenant or '', ?5 replay, ?6 maximum of attempts, ?7 now, ?8 lease in seconds, ?9 claim or
-- '', ?10 prefix of this message's delivery names or '', ?11 lease for others
INSERT INTO tenant_requests
    (request_key, source, request_id, tenant_id, state, replay, attempts, claim, history, created_at, updated_at)
VALUES (?1, ?2, ?3, nullif(?4, ''), 'running', ?5, 1, nullif(?9, ''),
    json_array(json_object('at', ?7, 'event', 'begun', 'replay', ?5, 'attempt', 1)), ?7, ?7)
ON CONFLICT (request_key) DO UPDATE SET
    state = 'running',
    replay = max(replay, excluded.replay),
    attempts = CASE
        WHEN excluded.replay > replay THEN 1
        WHEN claim = excluded.claim THEN attempts
        ELSE min(attempts, ?6) + 1 END,
    claim = excluded.claim,
    outcome_id = NULL,
    outcome = NULL,
    history = CASE
        WHEN excluded.replay <= replay AND claim = excluded.claim THEN history
        ELSE json_insert(
            CASE WHEN json_array_length(history) < 100 THEN history ELSE json_remove(history, '$[0]') END,
            '$[#]', json_object('at', ?7, 'event', 'begun', 'replay', max(replay, excluded.replay),
                'attempt', CASE WHEN excluded.replay > replay THEN 1 ELSE min(attempts, ?6) + 1 END))
        END,
    updated_at = ?7
WHERE state <> 'provisioned'
    AND (excluded.replay > replay
        OR state = 'running' AND (attempts < ?6 OR claim = excluded.claim
            OR abs(julianday(?7) - julianday(updated_at)) * 86400
                >= iif(?10 <> '' AND substr(claim, 1, length(?10)) = ?10, ?8, ?11)))
