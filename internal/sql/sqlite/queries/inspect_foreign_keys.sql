-- Every column of every foreign key: table, number, from, to table, to column (null: its key), on update, on delete.
SELECT m.name, f.id, f."from", f."table", f."to", f.on_update, f.on_delete
FROM sqlite_schema m
JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY m.name, f.id, f.seq
