-- Every column of every index: table, index, unique, origin (c, u, pk), partial, column (null: an expression).
SELECT m.name, i.name, i."unique", i.origin, i.partial, c.name
FROM sqlite_schema m
JOIN pragma_index_list(m.name) i
JOIN pragma_index_info(i.name) c
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY m.name, i.name, c.seqno
