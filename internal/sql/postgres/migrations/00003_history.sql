-- What the ledger remembers of a request beyond its last attempt, for operators, and to tell an attempt that
-- ended from one that took the process with it. The oldest entries give way: 100 are kept.

-- Behind somebody's transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.tenant_requests
    ADD COLUMN history jsonb NOT NULL DEFAULT '[]', -- [{at, event, replay, attempt, step, cause, error}]
    ADD COLUMN claim text, -- by whom the last attempt was claimed: a claim that is repeated is the same attempt
    ADD COLUMN buried uuid; -- the id of the failure whose dead letter is confirmed
