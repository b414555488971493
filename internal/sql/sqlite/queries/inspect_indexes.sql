-- Every column of every index of the tables ?1 (a JSON array): table, index, unique, origin (c, u, pk), partial, column
-- (null: an expression), its collation.
SELECT m.name, i.name, i."unique", i.origin, i.partial, c.name, c.coll
FROM sqlite_schema m
JOIN pragma_index_list(m.name) i
JOIN pragma_index_xinfo(i.name) c
WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL TABLE%' AND lower(m.name) IN (SELECT value FROM json_each(?1))
    AND c.key
ORDER BY m.name, i.name, c.seqno
