-- How many tenants no request of this service has provisioned: those of DocEX.
SELECT count(*)
FROM tenant_registry t
WHERE NOT t.is_system AND NOT EXISTS (SELECT 1 FROM tenant_requests r
    WHERE r.tenant_id = t.tenant_id AND r.state = 'provisioned')
