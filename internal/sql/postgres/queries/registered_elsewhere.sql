-- The tenant for which a neighbour's registry has registered the schema $1. (No placeholder in a comment: see
-- meeting_schema.sql.)
SELECT tenant_id FROM {neighbour}.tenant_registry WHERE schema_name = $1::text LIMIT 1
