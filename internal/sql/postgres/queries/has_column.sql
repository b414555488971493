-- Whether the table $2 of the schema $1 has the column $3.
SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text) AND c.relname = $2::text
        AND a.attname = $3::text AND NOT a.attisdropped)
