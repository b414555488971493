-- What tenants have before the scripts of their operator: docex, the built-in tables and indexes, or none.

-- Behind another transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.registry_stamp ADD COLUMN IF NOT EXISTS base_definition text NOT NULL DEFAULT 'docex';
