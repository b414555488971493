-- Finished boundaries that no tenant has yet. A row is there exactly as long as its boundary can be taken: both
-- come in one commit, and who deletes the row renames the schema in the same one. A new table waits for nobody's
-- transaction.

CREATE TABLE {registry}.prepared_boundaries (
    -- What is taken is renamed: no other schema can get here.
    schema_name text COLLATE "C" PRIMARY KEY CHECK (starts_with(schema_name, 'prepared:')),
    definition  text NOT NULL, -- fingerprint of the definition that it was built by
    created_at  timestamp NOT NULL -- UTC
);
