-- The keys of the ledger's requests for the tenant ?1, and whether they were provisioned.
SELECT request_key, state = 'provisioned' FROM tenant_requests WHERE tenant_id = ?1
