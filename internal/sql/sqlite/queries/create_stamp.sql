-- ?1 the registry's id
INSERT INTO registry_stamp (only_row, registry_id) VALUES (1, ?1)
ON CONFLICT DO NOTHING
