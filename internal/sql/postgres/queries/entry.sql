-- What the comparison with the streams needs of a request. $1 key
SELECT request_key, coalesce(tenant_id, ''), state, replay, coalesce(outcome_id::text, ''),
    to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'), coalesce(buried = outcome_id, false),
    CASE WHEN buried = outcome_id THEN coalesce(buried_in, '') ELSE '' END
FROM {registry}.tenant_requests
WHERE request_key = $1::text
