-- Takes a free boundary of the definition, unless the tenant's schema exists already. Its schema must exist, and this
-- role may rename it: only an owner has all rights with the grant option, without a grant. Whether it was altered is
-- asked afterwards (unaltered.sql). OFFSET 0 keeps the candidates in a plan of their own, without an order: they are
-- found, locked and checked one by one until one is usable, instead of all of them to find one.
--
-- A boundary is passed over while a pg_dump may read it under its present name: see dumps.sql. A dump under another
-- application_name is detected by its locks, which are read only if another program has a snapshot, and once: a query
-- about the candidate in it would read all locks for each of them.
-- $1 definition, $2 the tenant's schema, $3 seconds for which a full comparison counts
DELETE FROM {registry}.prepared_boundaries
WHERE schema_name = (
    SELECT candidate.schema_name
    FROM (
        SELECT p.schema_name, p.relations, dumps.others
        FROM {registry}.prepared_boundaries p, (
{dumps}) AS dumps
        WHERE p.definition = $1::text
            AND (dumps.newest IS NULL OR p.ordered AND pg_catalog.age(p.xmin) BETWEEN 0 AND dumps.newest)
            AND pg_catalog.to_regnamespace(pg_catalog.quote_ident($2::text)) IS NULL
        OFFSET 0
        FOR UPDATE OF p SKIP LOCKED
    ) AS candidate
    WHERE pg_catalog.has_schema_privilege(
            pg_catalog.to_regnamespace(pg_catalog.quote_ident(candidate.schema_name)), 'CREATE WITH GRANT OPTION')
        AND NOT (candidate.others AND (candidate.relations IS NULL
            OR candidate.relations && ARRAY(SELECT l.relation FROM pg_catalog.pg_lock_status() l
                WHERE l.locktype = 'relation' AND l.pid <> pg_catalog.pg_backend_pid()
                    AND l.database = (SELECT own.datid
                        FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) own))))
    LIMIT 1
)
RETURNING schema_name, stamped, xmin::text, ordered, coalesce(relations::text, ''), coalesce(versions::text, ''),
    coalesce(clock_timestamp() AT TIME ZONE 'utc' - compared_at < $3::float8 * interval '1 second', false)
