-- The fingerprint of what a tenant was made by: null if it is unknown, as in the rows of DocEX and of earlier versions.
ALTER TABLE tenant_registry ADD COLUMN definition VARCHAR(16);

-- The initialisation scripts that each tenant's file has, as they were when they ran in it.
CREATE TABLE IF NOT EXISTS applied_scripts (
    tenant_id  VARCHAR(255) NOT NULL,
    name       TEXT NOT NULL, -- of the file
    sha256     TEXT NOT NULL, -- of the file, in lower-case hex
    applied_at DATETIME NOT NULL, -- UTC
    PRIMARY KEY (tenant_id, name)
) WITHOUT ROWID;

-- What the scripts made in the rehearsal when the service started: the last one is what tenants are compared with.
CREATE TABLE IF NOT EXISTS definitions (
    fingerprint VARCHAR(16) PRIMARY KEY,
    structure   TEXT NOT NULL, -- JSON
    stored_at   DATETIME NOT NULL -- UTC
) WITHOUT ROWID;
