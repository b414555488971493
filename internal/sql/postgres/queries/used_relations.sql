-- The relations outside of the schema with the oid $1 that this session has read or written, in subtransactions that
-- were rolled back too, without those in $2. It queries every relation of the database. The server counts from the last
-- report of a session, which follows a transaction.
SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid::text, c.oid::text
FROM pg_catalog.pg_class c
WHERE c.oid >= 16384 AND c.relnamespace NOT IN ($1::text::oid, 99) AND c.oid <> ALL ($2::text[]::oid[])
    AND pg_catalog.pg_stat_get_xact_numscans(c.oid) + pg_catalog.pg_stat_get_xact_blocks_fetched(c.oid)
        + pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0
