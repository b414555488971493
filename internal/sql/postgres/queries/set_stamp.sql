-- Records that the streams have the id $1, and in which server and database they got it, $2.
INSERT INTO {registry}.registry_stamp AS s (registry_id, streams_stamped, place)
VALUES ($1::text::uuid, true, $2::text)
ON CONFLICT (only_row) DO UPDATE SET
    registry_id = excluded.registry_id, streams_stamped = true, place = excluded.place
WHERE s.registry_id <> excluded.registry_id OR NOT s.streams_stamped OR s.place IS DISTINCT FROM excluded.place
