-- A page of requests, the latest first, without outcome, history and the stream of the dead letter. Of the filters, an
-- empty text matches all. ?1 tenant, ?2 state, ?3 source, ?4 cause, ?5 created at or after, ?6 and ?7 time of creation and
-- key of the row before the page, ?8 number of rows
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    CAST(created_at AS TEXT), CAST(updated_at AS TEXT),
    coalesce(outcome_id, ''), '', coalesce(buried = outcome_id, false), '', '[]'
FROM tenant_requests
WHERE (?1 = '' OR tenant_id = ?1) AND (?2 = '' OR state = ?2) AND (?3 = '' OR source = ?3)
    AND (?4 = '' OR last_cause = ?4) AND created_at >= ?5 AND (created_at, request_key) < (?6, ?7)
ORDER BY created_at DESC, request_key DESC
LIMIT ?8
