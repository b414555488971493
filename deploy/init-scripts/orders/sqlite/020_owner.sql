-- A row with the values of the request. They are those of a function, never pasted into the text.
CREATE TABLE account (
    tenant_id    TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    owner        TEXT NOT NULL,
    plan         TEXT
);

INSERT INTO account (tenant_id, display_name, owner, plan) VALUES (
    provisioner('tenant_id'),
    provisioner('display_name'),
    provisioner('created_by'),
    nullif(provisioner('plan'), '')
);
