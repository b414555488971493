-- Whether the schema $1 contains the relation (table, index) $2.
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text) AND c.relname = $2::text)
