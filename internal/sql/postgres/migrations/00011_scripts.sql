-- The fingerprint of what a tenant was made by: null if it is unknown, as in the rows of DocEX and of earlier versions.

-- Behind another transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.tenant_registry ADD COLUMN IF NOT EXISTS definition varchar(16);

-- The initialisation scripts that each tenant's boundary has, as they were when they ran in it.
CREATE TABLE IF NOT EXISTS {registry}.applied_scripts (
    tenant_id  varchar(255) NOT NULL,
    name       text NOT NULL, -- of the file
    sha256     text NOT NULL, -- of the file, in lower-case hex
    applied_at timestamp NOT NULL, -- UTC
    PRIMARY KEY (tenant_id, name)
);

-- What the scripts made in the rehearsal when the service started: the last one is what tenants are compared with.
CREATE TABLE IF NOT EXISTS {registry}.definitions (
    fingerprint varchar(16) PRIMARY KEY,
    server      text NOT NULL, -- the version of the server that printed it
    structure   text NOT NULL, -- JSON
    stored_at   timestamp NOT NULL -- UTC
);
