-- Properties of server, database and role. It reads only what every role may see of other sessions, and does not count
-- its own session. $1 the application_name of the service's sessions
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('server_version') AS release,
    current_user::text AS role,
    current_database()::text AS database,
    r.rolsuper AS superuser,
    pg_is_in_recovery() AS standby,
    current_setting('default_transaction_read_only')::boolean AS read_only,
    pg_encoding_to_char(d.encoding)::text AS encoding,
    current_setting('fsync')::boolean AS fsync,
    current_setting('full_page_writes')::boolean AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') AS synchronous_standbys,
    current_setting('max_locks_per_transaction')::bigint AS locks_per_transaction,
    current_setting('max_prepared_transactions')::bigint AS prepared_transactions,
    current_setting('max_connections')::bigint AS connections,
    CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::bigint
        + coalesce(current_setting('reserved_connections', true)::bigint, 0) END AS reserved, -- exists since 16
    CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END::bigint AS role_limit,
    CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END::bigint AS database_limit,
    (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS wal_senders, -- any role sees how many
    a.total, a.by_role, a.in_database, a.ours, a.waiting, a.dumps,
    ARRAY(SELECT e.evtname::text FROM pg_catalog.pg_event_trigger e
        WHERE e.evtenabled IN ('O', 'A') ORDER BY 1) AS event_triggers
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d,
    (SELECT count(*) AS total,
        count(*) FILTER (WHERE s.usename = current_user) AS by_role,
        count(*) FILTER (WHERE s.datname = current_database()) AS in_database,
        count(*) FILTER (WHERE s.usename = current_user AND s.datname = current_database()
            AND s.application_name = $1::text) AS ours,
        count(*) FILTER (WHERE s.usename = current_user AND s.datname = current_database()
            AND s.application_name = $1::text AND s.wait_event = 'SyncRep'
            AND s.query_start < clock_timestamp() - interval '1 second') AS waiting,
        count(*) FILTER (WHERE s.datname = current_database() AND starts_with(s.application_name, 'pg_dump')) AS dumps
    FROM pg_catalog.pg_stat_activity s
    WHERE s.datid IS NOT NULL AND s.usesysid IS NOT NULL AND s.pid <> pg_backend_pid()) a
WHERE r.rolname = current_user AND d.datname = current_database()
