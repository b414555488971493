-- The column that DocEX's table lacks.
ALTER TABLE document ADD COLUMN related_po VARCHAR(50)
