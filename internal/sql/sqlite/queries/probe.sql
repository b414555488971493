-- Whether there is a registry, a ledger with its history, an id of the registry, the columns of checkpoint and
-- retention, those of plans, and the table of applied scripts.
SELECT
    EXISTS (SELECT 1 FROM pragma_table_info('tenant_registry')),
    EXISTS (SELECT 1 FROM pragma_table_info('tenant_requests') WHERE name = 'history'),
    EXISTS (SELECT 1 FROM pragma_table_info('registry_stamp')),
    EXISTS (SELECT 1 FROM pragma_table_info('registry_stamp') WHERE name = 'pruned_before'),
    EXISTS (SELECT 1 FROM pragma_table_info('tenant_registry') WHERE name = 'plan_max_rows'),
    EXISTS (SELECT 1 FROM pragma_table_info('applied_scripts'))
