-- The registry's id, made once. The mark of a file that the service makes depends on it, so that no other registry
-- takes that file for its own. A copy of the registry has the same id.

CREATE TABLE IF NOT EXISTS registry_stamp (
    only_row    INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
    registry_id TEXT NOT NULL, -- a random UUID (version 4)
    created_at  DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')) -- UTC
);

INSERT INTO registry_stamp (only_row, registry_id)
SELECT 1, lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'
    || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))
WHERE true
ON CONFLICT DO NOTHING;
