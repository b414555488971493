-- What the ledger remembers of a request beyond its last attempt, for operators, and to tell an attempt that
-- ended from one that took the process with it. The oldest entries give way: 100 are kept.

ALTER TABLE tenant_requests ADD COLUMN history JSON NOT NULL DEFAULT '[]'; -- [{at, event, replay, attempt, step, cause, error}]
ALTER TABLE tenant_requests ADD COLUMN buried BOOLEAN NOT NULL DEFAULT 0; -- the outcome is a failure whose dead letter is confirmed
