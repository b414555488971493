-- Records that the streams have the id ?1.
INSERT INTO registry_stamp (only_row, registry_id, streams_stamped)
VALUES (1, ?1, 1)
ON CONFLICT (only_row) DO UPDATE SET registry_id = excluded.registry_id, streams_stamped = 1
