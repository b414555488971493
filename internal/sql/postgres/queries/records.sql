-- A page of requests, the latest first, without outcome, history and the stream of the dead letter. Of the filters, an
-- empty text matches all. $1 tenant, $2 state, $3 source, $4 cause, $5 created at or after, $6 and $7 time of creation and
-- key of the row before the page, $8 number of rows
SELECT request_key, source, request_id, coalesce(tenant_id, ''), state, replay, attempts,
    coalesce(last_step, ''), coalesce(last_cause, ''), coalesce(last_error, ''),
    to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'),
    coalesce(outcome_id::text, ''), '', coalesce(buried = outcome_id, false), '', '[]'
FROM {registry}.tenant_requests
WHERE ($1::text = '' OR tenant_id = $1::text) AND ($2::text = '' OR state = $2::text)
    AND ($3::text = '' OR source = $3::text) AND ($4::text = '' OR last_cause = $4::text)
    AND created_at >= $5::timestamp AND (created_at, request_key) < ($6::timestamp, $7::text)
ORDER BY created_at DESC, request_key DESC
LIMIT $8::integer
