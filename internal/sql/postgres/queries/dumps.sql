-- The dumps of this database by pg_dump. Every role sees application_name and the oldest transaction of all sessions.
--
-- newest: the age, in transactions, of the newest snapshot of a dump; -1 if a dump has no snapshot yet; NULL if no dump
-- runs. A dump keeps one snapshot, reads the names of schemas by it, and uses them until its end. What a boundary's
-- column "ordered" says makes the ages of both comparable, see add_prepared.sql.
-- others: whether a session of another program has a snapshot.
--
-- It reads no catalogue: to plan that would cost as much again, after every CREATE SCHEMA and RENAME.
SELECT min(coalesce(pg_catalog.age(a.backend_xmin), -1)) FILTER (WHERE starts_with(a.application_name, 'pg_dump')) AS newest,
    count(a.backend_xmin) FILTER (WHERE a.application_name <> pg_catalog.current_setting('application_name')) > 0 AS others
FROM pg_catalog.pg_stat_get_activity(NULL) a, pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) own
WHERE a.datid = own.datid
