-- Whether there is a registry, and a ledger with its history.
SELECT
    EXISTS (SELECT 1 FROM pragma_table_info('tenant_registry')),
    EXISTS (SELECT 1 FROM pragma_table_info('tenant_requests') WHERE name = 'history')
