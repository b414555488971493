-- Whether a commit of the service, in any replica, has waited for a synchronous standby for longer than a busy standby
-- takes. A role sees its own sessions without further privileges.
SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
    WHERE a.usename = current_user AND a.datname = pg_catalog.current_database()
        AND a.application_name = pg_catalog.current_setting('application_name')
        AND a.wait_event = 'SyncRep' AND a.query_start < pg_catalog.clock_timestamp() - interval '1 second')
