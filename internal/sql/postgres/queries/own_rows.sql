-- Begins a query for rows of catalogues that this transaction has written: their xmin is its id, or that of one of its
-- subtransactions. It holds a lock on each of those ids.
WITH own AS MATERIALIZED (
    SELECT array_agg(l.transactionid) AS ids
    FROM pg_catalog.pg_locks l
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock'
)
