-- What tenants have before the scripts of their operator: docex, the built-in tables and indexes, or none.
ALTER TABLE registry_stamp ADD COLUMN base_definition TEXT NOT NULL DEFAULT 'docex';
