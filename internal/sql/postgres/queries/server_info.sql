-- Properties of server, database and role.
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
    CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END::bigint AS database_limit
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
WHERE r.rolname = current_user AND d.datname = current_database()
