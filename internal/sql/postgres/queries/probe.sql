-- Whether the schema $1 contains a registry, a ledger with its history, a pool of prepared boundaries, an id of the
-- registry, the columns of checkpoint and retention, those of plans, and the table of applied scripts.
SELECT
    EXISTS (SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'tenant_registry'),
    EXISTS (SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'tenant_requests' AND a.attname = 'history' AND NOT a.attisdropped),
    EXISTS (SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'prepared_boundaries'),
    EXISTS (SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'registry_stamp'),
    EXISTS (SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'registry_stamp' AND a.attname = 'pruned_before' AND NOT a.attisdropped),
    EXISTS (SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'tenant_registry' AND a.attname = 'plan_max_rows' AND NOT a.attisdropped),
    EXISTS (SELECT FROM pg_catalog.pg_class c
        WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
            AND c.relname = 'applied_scripts')
