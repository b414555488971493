-- Which of the schemas $1 a neighbour's registry has registered. (No placeholder in a comment: see meeting_schema.sql.)
SELECT schema_name::text FROM {neighbour}.tenant_registry WHERE schema_name = ANY ($1::text[])
