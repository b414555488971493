-- The first user is the one who has requested the tenant.
CREATE TABLE member (
    name text PRIMARY KEY,
    role varchar(20) NOT NULL CHECK (role IN ('owner', 'member'))
);

INSERT INTO member (name, role) VALUES (current_setting('provisioner.created_by'), 'owner');
