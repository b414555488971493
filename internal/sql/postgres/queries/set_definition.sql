-- $1 tenant, $2 the fingerprint of the definition that its boundary was made by again, or ''
UPDATE {registry}.tenant_registry SET definition = nullif($2::text, '') WHERE tenant_id = $1::text
