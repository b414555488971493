-- A row with the values of the request. They are settings, never pasted into the text.
CREATE TABLE account (
    tenant_id    text PRIMARY KEY,
    display_name text NOT NULL,
    owner        text NOT NULL,
    plan         text
);

INSERT INTO account (tenant_id, display_name, owner, plan) VALUES (
    current_setting('provisioner.tenant_id'),
    current_setting('provisioner.display_name'),
    current_setting('provisioner.created_by'),
    nullif(current_setting('provisioner.plan'), '')
);
