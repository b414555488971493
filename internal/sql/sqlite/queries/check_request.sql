-- Whether the ledger has the outcome: a trigger can discard what was written. ?1 key, ?2 outcome id
SELECT EXISTS (SELECT 1 FROM tenant_requests WHERE request_key = ?1 AND outcome_id = ?2)
