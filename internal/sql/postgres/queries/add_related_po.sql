-- The column that DocEX's table lacks. {schema} is the quoted name of its schema.
ALTER TABLE {schema}.document ADD COLUMN IF NOT EXISTS related_po varchar(50);
