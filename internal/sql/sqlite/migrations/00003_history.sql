-- What the ledger remembers of a request beyond its last attempt, for operators, and to tell an attempt that
-- ended from one that took the process with it. The oldest entries give way: 100 are kept.

ALTER TABLE tenant_requests ADD COLUMN history JSON NOT NULL DEFAULT '[]'; -- [{at, event, replay, attempt, step, cause, error}]
ALTER TABLE tenant_requests ADD COLUMN claim TEXT; -- by whom the last attempt was claimed: a claim that is repeated is the same attempt
ALTER TABLE tenant_requests ADD COLUMN buried TEXT; -- the id of the failure whose dead letter is confirmed
