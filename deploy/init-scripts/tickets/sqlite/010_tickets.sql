-- provisioner: prepare
-- All that a tenant of this product has, for BASE_DEFINITION=none.
CREATE TABLE project (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE ticket (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    title      VARCHAR(200) NOT NULL CHECK (title <> ''),
    closed     BOOLEAN NOT NULL DEFAULT 0,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_ticket_project_created ON ticket (project_id, created_at DESC);

CREATE VIEW open_tickets AS SELECT project_id, count(*) AS tickets FROM ticket WHERE NOT closed GROUP BY project_id;

CREATE TRIGGER touch_ticket AFTER UPDATE OF title, closed ON ticket
BEGIN
    UPDATE ticket SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id;
END;
