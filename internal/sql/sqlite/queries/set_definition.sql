-- ?1 tenant, ?2 the fingerprint of the definition that its file was made by again, or ''
UPDATE tenant_registry SET definition = nullif(?2, '') WHERE tenant_id = ?1
