-- Terminates sessions whose connection was lost, if they still hold the lock of their boundary or wait for it: the
-- process id alone may belong to another session by now. A role may terminate its own sessions. (Not in WHERE: there it
-- could be evaluated for sessions that the join has not excluded yet.) $1 process ids, $2 the keys of their locks
SELECT l.pid::bigint, pg_catalog.pg_terminate_backend(l.pid)
FROM unnest($1::bigint[], $2::bigint[]) AS lost(pid, key)
JOIN pg_catalog.pg_locks l ON l.pid = lost.pid AND l.locktype = 'advisory' AND l.objsubid = 1
    AND (l.classid::bigint << 32 | l.objid::bigint) = lost.key
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
