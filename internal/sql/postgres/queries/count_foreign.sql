-- How many tenants no request of this service has provisioned: those of DocEX.
SELECT count(*)
FROM {registry}.tenant_registry t
WHERE NOT t.is_system AND NOT EXISTS (SELECT FROM {registry}.tenant_requests r
    WHERE r.tenant_id = t.tenant_id AND r.state = 'provisioned')
