-- Whether the transaction that built a boundary was the oldest one: the age of a dump's snapshot then shows whether the
-- dump sees the boundary.
ALTER TABLE {registry}.prepared_boundaries ADD COLUMN IF NOT EXISTS ordered boolean NOT NULL DEFAULT false;
