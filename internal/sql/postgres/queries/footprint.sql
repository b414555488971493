-- What this transaction has left so far. It is read before and after the scripts, and confined.go compares. A
-- transaction keeps its locks until it ends, so they show each relation that it has used, except in a subtransaction
-- that was rolled back. The server's counts of what the transaction reads and writes include those subtransactions.
-- $1 schema, $2 oids of catalogues
WITH locks AS MATERIALIZED (
    SELECT l.locktype, l.relation, l.classid, l.objid, l.objsubid, l.mode
    FROM pg_catalog.pg_locks l
    WHERE l.pid = pg_catalog.pg_backend_pid()
), boundary AS MATERIALIZED (
    SELECT n.oid, n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
)
SELECT pg_catalog.pg_current_xact_id()::text, current_user::text, session_user::text,
    pg_catalog.current_setting('transaction_read_only'),
    pg_catalog.pg_my_temp_schema()::text,
    (SELECT coalesce(pg_catalog.string_agg(c.name, ', '), '') FROM pg_catalog.pg_cursor() AS c WHERE c.is_holdable),
    coalesce((SELECT oid::text FROM boundary), ''),
    coalesce((SELECT nspowner::text FROM boundary), ''),
    coalesce((SELECT d.description FROM pg_catalog.pg_description d
        WHERE d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objsubid = 0
            AND d.objoid = (SELECT oid FROM boundary)), ''),
    -- Functions that run with the rights of their owner, the service.
    (SELECT coalesce(pg_catalog.string_agg(p.proname::text, ', ' ORDER BY p.proname::text), '')
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_proc p ON p.oid = d.objid AND p.prosecdef
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
            AND d.refobjid = (SELECT oid FROM boundary)
            AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass),
    (SELECT coalesce(pg_catalog.string_agg(l.classid || ':' || l.objid || ':' || l.objsubid || ' ' || l.mode, ', '
            ORDER BY l.classid, l.objid, l.objsubid, l.mode), '')
        FROM locks l WHERE l.locktype = 'advisory'),
    -- Relations that are not in the boundary: oid, mode, use. Those of the server and TOAST tables do not matter.
    (SELECT array_agg(ARRAY[l.relation::text, l.mode,
            (pg_catalog.pg_stat_get_xact_numscans(l.relation) + pg_catalog.pg_stat_get_xact_blocks_fetched(l.relation)
            + pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation)
            + pg_catalog.pg_stat_get_xact_tuples_updated(l.relation)
            + pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation))::text])
        FROM locks l
        LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation
        WHERE l.locktype = 'relation' AND l.relation >= 16384
            AND (c.oid IS NULL OR c.relnamespace <> 99 AND c.relnamespace <> (SELECT oid FROM boundary))),
    -- Other objects: class, oid, mode.
    (SELECT array_agg(ARRAY[l.classid::text, l.objid::text, l.mode]) FROM locks l WHERE l.locktype = 'object'),
    -- Rows inserted into, updated in and deleted from each catalogue.
    (SELECT array_agg(ARRAY[pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid),
            pg_catalog.pg_stat_get_xact_tuples_updated(c.oid),
            pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)] ORDER BY c.at)
        FROM unnest($2::text[]::oid[]) WITH ORDINALITY AS c (oid, at)),
    -- What the boundary holds: the number of objects and of privileges, and the properties of functions.
    (SELECT pg_catalog.concat_ws(' ', count(*), sum(pg_catalog.cardinality(c.relacl)),
            sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', p.proname, p.pronargs, p.proisstrict, p.provolatile,
                p.proparallel, p.prosecdef, pg_catalog.cardinality(p.proconfig), pg_catalog.cardinality(p.proacl)))))
        FROM pg_catalog.pg_depend d
        LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
        LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
            AND d.refobjid = (SELECT oid FROM boundary))
