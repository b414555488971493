-- The first user is the one who has requested the tenant.
CREATE TABLE member (
    name TEXT NOT NULL PRIMARY KEY,
    role VARCHAR(20) NOT NULL CHECK (role IN ('owner', 'member'))
);

INSERT INTO member (name, role) VALUES (provisioner('created_by'), 'owner');
