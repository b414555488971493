-- The server's catalogues, by oid, and whether the server counts what transactions write to them.
SELECT c.oid::text, c.relname::text, pg_catalog.current_setting('track_counts')
FROM pg_catalog.pg_class c
WHERE c.oid < 16384 AND c.relkind = 'r' AND c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace
ORDER BY c.oid
