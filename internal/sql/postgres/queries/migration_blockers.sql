-- Sessions that hold the lock of migrations or, if $3, a lock on a table in the schema $2; the oldest transactions first.
-- Of another role's session only its process id and application_name are visible without pg_read_all_stats. A prepared
-- transaction has no process. $1 lock key
SELECT coalesce(l.pid, 0)::bigint, coalesce(a.usename, '')::text, coalesce(a.application_name, ''),
    coalesce(pg_catalog.host(a.client_addr), ''), coalesce(a.state, ''),
    coalesce(a.xact_start, a.state_change, 'epoch')::timestamptz AS since,
    coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.state_change)), 0)::float8
FROM (
    SELECT DISTINCT pid FROM pg_catalog.pg_locks
    WHERE granted AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND (locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = $1::bigint
            OR $3::boolean AND locktype = 'relation' AND relation IN (SELECT c.oid FROM pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $2::text))
) l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
ORDER BY since
LIMIT 3
