-- Every column of every foreign key of the tables ?1 (a JSON array): table, number, from, to table, to column (null: its
-- key), on update, on delete.
SELECT m.name, f.id, f."from", f."table", f."to", f.on_update, f.on_delete
FROM sqlite_schema m
JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL TABLE%' AND lower(m.name) IN (SELECT value FROM json_each(?1))
ORDER BY m.name, f.id, f.seq
