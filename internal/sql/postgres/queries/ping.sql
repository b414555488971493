-- Whether the database is read-only, such as a standby; whether the role may write registry and ledger, without which
-- nothing works; and whether commits wait for a standby.
SELECT pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('transaction_read_only')::boolean
    OR EXISTS (SELECT FROM {registry}.tenant_registry WHERE false)
    OR EXISTS (SELECT FROM {registry}.tenant_requests WHERE false),
    (SELECT bool_and(pg_catalog.has_table_privilege(t, p))
    FROM unnest(ARRAY['{registry}.tenant_registry', '{registry}.tenant_requests']) AS t,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS p),
    (
{commits_wait})
