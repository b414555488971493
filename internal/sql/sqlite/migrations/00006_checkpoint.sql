-- Up to which message of TENANT_EVENTS the ledger is known to have all outcomes. A restore takes it back with the ledger.

ALTER TABLE registry_stamp ADD COLUMN checkpoint_stream TEXT; -- when that stream was created
ALTER TABLE registry_stamp ADD COLUMN checkpoint_sequence INTEGER NOT NULL DEFAULT 0;
