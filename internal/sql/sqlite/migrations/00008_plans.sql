-- The plan that a tenant was provisioned with, and its limits: null without one, as in the rows of DocEX.

ALTER TABLE tenant_registry ADD COLUMN plan VARCHAR(50);
ALTER TABLE tenant_registry ADD COLUMN plan_max_bytes BIGINT;
ALTER TABLE tenant_registry ADD COLUMN plan_max_rows BIGINT;
