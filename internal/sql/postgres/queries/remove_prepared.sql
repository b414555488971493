-- Removes a boundary that does not match the definition from the pool. Its schema stays: nothing is ever dropped. $1
-- schema
DELETE FROM {registry}.prepared_boundaries WHERE schema_name = $1::text
