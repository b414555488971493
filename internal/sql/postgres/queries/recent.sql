-- As entry.sql: all running requests, then those that changed last. $1 maximum
SELECT request_key, coalesce(tenant_id, ''), state, replay, coalesce(outcome_id::text, ''),
    to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'), coalesce(buried = outcome_id, false),
    CASE WHEN buried = outcome_id THEN coalesce(buried_in, '') ELSE '' END
FROM (
    SELECT request_key, tenant_id, state, replay, outcome_id, updated_at, buried, buried_in
    FROM {registry}.tenant_requests
    ORDER BY state = 'running' DESC, updated_at DESC
    LIMIT $1::integer
) AS newest
