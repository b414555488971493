-- The registry's id, whether the streams have it, the server and the database in which they got it, this database, and the
-- database on this server with the oid of the recorded one.
SELECT s.registry_id::text, s.streams_stamped,
    coalesce(split_part(s.place, '/', 1), ''), coalesce(split_part(s.place, '/', 2), ''),
    (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
    coalesce((SELECT d.datname::text FROM pg_catalog.pg_database d WHERE d.oid::text = split_part(s.place, '/', 2)), '')
FROM {registry}.registry_stamp s
