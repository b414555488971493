-- A row that violates a foreign key: its table, its number and the table that it refers to.
SELECT "table", rowid, parent FROM pragma_foreign_key_check LIMIT 1
