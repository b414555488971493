-- The registry's id, whether the streams have it, the server and the database in which they got it, this database, the
-- database on this server with the oid of the recorded one, before when requests may be pruned, and the checkpoint.
SELECT s.registry_id::text, s.streams_stamped,
    coalesce(split_part(s.place, '/', 1), ''), coalesce(split_part(s.place, '/', 2), ''),
    (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
    coalesce((SELECT d.datname::text FROM pg_catalog.pg_database d WHERE d.oid::text = split_part(s.place, '/', 2)), ''),
    coalesce(to_char(s.pruned_before, 'YYYY-MM-DD HH24:MI:SS.US'), ''),
    coalesce(s.checkpoint_stream, ''), s.checkpoint_sequence
FROM {registry}.registry_stamp s
