-- Fails, naming the table or column, if registry or ledger lack one that the service uses.
SELECT 1
FROM (SELECT tenant_id, display_name, is_system, isolation_strategy, schema_name, database_path,
        created_at, created_by, last_updated_at, last_updated_by, plan, plan_max_bytes, plan_max_rows,
        definition
    FROM tenant_registry) AS registry,
    (SELECT request_key, source, request_id, tenant_id, state, replay, attempts, last_step, last_cause, last_error,
        outcome_id, outcome, created_at, updated_at, history, claim, buried, buried_in
    FROM tenant_requests) AS ledger,
    (SELECT only_row, registry_id, created_at, streams_stamped, checkpoint_stream, checkpoint_sequence, pruned_before,
        base_definition
    FROM registry_stamp) AS stamp,
    (SELECT outcome_id, request_key, tenant_id, reason, accepted_at FROM accepted_outcomes) AS accepted,
    (SELECT tenant_id, name, sha256, applied_at FROM applied_scripts) AS scripts,
    (SELECT fingerprint, structure, stored_at FROM definitions) AS definitions
LIMIT 0
