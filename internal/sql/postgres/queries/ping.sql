-- A standby answers, but cannot be written to. Without a registry there is nothing to go on with.
SELECT pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('transaction_read_only')::boolean
    OR EXISTS (SELECT FROM {registry}.tenant_registry WHERE false)
