-- Up to which message of TENANT_EVENTS the ledger is known to have all outcomes. A restore takes it back with the ledger.

-- Behind another transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.registry_stamp
    ADD COLUMN IF NOT EXISTS checkpoint_stream text, -- when that stream was created
    ADD COLUMN IF NOT EXISTS checkpoint_sequence bigint NOT NULL DEFAULT 0;
