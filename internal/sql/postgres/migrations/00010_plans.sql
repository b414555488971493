-- The plan that a tenant was provisioned with, and its limits: null without one, as in the rows of DocEX.

-- Behind another transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.tenant_registry
    ADD COLUMN IF NOT EXISTS plan varchar(50),
    ADD COLUMN IF NOT EXISTS plan_max_bytes bigint,
    ADD COLUMN IF NOT EXISTS plan_max_rows bigint;
