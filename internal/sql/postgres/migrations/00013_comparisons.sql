-- What a prepared boundary consists of, and when all of it was last compared with the definition: a request that takes
-- it then asks only whether that has changed. Boundaries of earlier versions have none of it, and are compared in full.

-- Behind another transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

ALTER TABLE {registry}.prepared_boundaries
    ADD COLUMN IF NOT EXISTS relations oid[],
    ADD COLUMN IF NOT EXISTS versions xid[], -- xmin of the row of each in pg_class
    ADD COLUMN IF NOT EXISTS compared_at timestamp; -- UTC
