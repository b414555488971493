-- The values of the request, which scripts read with current_setting. $1 tenant, $2 display name, $3 created by, $4 plan
SELECT pg_catalog.set_config('provisioner.tenant_id', $1::text, true),
    pg_catalog.set_config('provisioner.display_name', $2::text, true),
    pg_catalog.set_config('provisioner.created_by', $3::text, true),
    pg_catalog.set_config('provisioner.plan', $4::text, true)
