-- Whether the transaction that built a boundary was the oldest one: the age of a dump's snapshot then shows whether the
-- dump sees the boundary. Behind a transaction of others this would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.prepared_boundaries ADD COLUMN IF NOT EXISTS ordered boolean NOT NULL DEFAULT false;
