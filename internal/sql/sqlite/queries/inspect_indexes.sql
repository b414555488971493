-- Every column of every index: table, index, unique, origin (c, u, pk), partial, column (null: an expression),
-- its collation.
SELECT m.name, i.name, i."unique", i.origin, i.partial, c.name, c.coll
FROM sqlite_schema m
JOIN pragma_index_list(m.name) i
JOIN pragma_index_xinfo(i.name) c
WHERE m.type = 'table' AND c.key AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY m.name, i.name, c.seqno
