-- Whether both rows exist: a trigger can discard what was written.
-- ?1 tenant, ?2 its file, ?3 key, ?4 outcome id
SELECT EXISTS (SELECT 1 FROM tenant_registry WHERE tenant_id = ?1 AND database_path = ?2)
    AND EXISTS (SELECT 1 FROM tenant_requests WHERE request_key = ?3 AND state = 'provisioned' AND outcome_id = ?4)
