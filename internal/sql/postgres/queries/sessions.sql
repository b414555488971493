-- The other sessions: all, this role's, those in this database, and the service's, of which some may be waiting for a
-- synchronous standby; sessions of pg_dump in this database; and standbys. It reads only what every role may see of them.
-- $1 the application_name of the service's sessions
SELECT count(*),
    count(*) FILTER (WHERE s.usename = current_user),
    count(*) FILTER (WHERE s.datname = current_database()),
    count(*) FILTER (WHERE s.usename = current_user AND s.datname = current_database()
        AND s.application_name = $1::text),
    count(*) FILTER (WHERE s.usename = current_user AND s.datname = current_database()
        AND s.application_name = $1::text AND s.wait_event = 'SyncRep'
        AND s.query_start < clock_timestamp() - interval '1 second'),
    count(*) FILTER (WHERE s.datname = current_database() AND starts_with(s.application_name, 'pg_dump')),
    (SELECT count(*) FROM pg_catalog.pg_stat_replication), -- any role sees how many
{has_standby}
FROM pg_catalog.pg_stat_activity s
WHERE s.datid IS NOT NULL AND s.usesysid IS NOT NULL AND s.pid <> pg_backend_pid()
