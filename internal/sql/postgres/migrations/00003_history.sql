-- What the ledger remembers of a request beyond its last attempt, for operators, and to tell an attempt that
-- ended from one that took the process with it. The oldest entries give way: 100 are kept.

ALTER TABLE {registry}.tenant_requests
    ADD COLUMN history jsonb NOT NULL DEFAULT '[]', -- [{at, event, replay, attempt, step, cause, error}]
    ADD COLUMN buried boolean NOT NULL DEFAULT false; -- the outcome is a failure whose dead letter is confirmed
