-- The event triggers that fire for statements of the service: its steps and the renaming of a prepared boundary.
SELECT e.evtname::text, e.evtevent::text, e.evtfoid::pg_catalog.regprocedure::text
FROM pg_catalog.pg_event_trigger e
WHERE e.evtenabled IN ('O', 'A') AND starts_with(e.evtevent::text, 'ddl_command_')
    AND (e.evttags IS NULL
        OR e.evttags && ARRAY['CREATE SCHEMA', 'ALTER SCHEMA', 'COMMENT', 'CREATE TABLE', 'CREATE INDEX'])
ORDER BY 1
