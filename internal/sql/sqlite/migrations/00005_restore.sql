-- What shows, after a restore, that database and streams do not belong together.

ALTER TABLE registry_stamp ADD COLUMN streams_stamped BOOLEAN NOT NULL DEFAULT 0; -- the streams have the id
ALTER TABLE tenant_requests ADD COLUMN buried_in TEXT; -- when the stream was created in which the dead letter is confirmed

-- Published outcomes that the ledger does not have, and that an operator has accepted as lost.
CREATE TABLE IF NOT EXISTS accepted_outcomes (
    outcome_id  TEXT NOT NULL PRIMARY KEY,
    request_key TEXT NOT NULL,
    tenant_id   TEXT,
    reason      TEXT NOT NULL,
    accepted_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')) -- UTC
);
