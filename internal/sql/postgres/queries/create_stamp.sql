-- $1 the registry's id
INSERT INTO {registry}.registry_stamp (registry_id) VALUES ($1::text::uuid)
ON CONFLICT DO NOTHING
