-- The columns of all tables that structure.sql returns, except virtual ones: table, place from 1, name, type, not null,
-- default, generated (2: virtual, 3: stored).
SELECT m.name, c.cid + 1, c.name, c.type, c."notnull", coalesce(c.dflt_value, ''), c.hidden
FROM pragma_table_list m
JOIN pragma_table_xinfo(m.name) c
WHERE m.schema = 'main' AND m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
