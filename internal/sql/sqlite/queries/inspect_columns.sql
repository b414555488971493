-- Every column of every table and view: table, kind, definition, column, type, generated, not null, default,
-- key position.
SELECT m.name, m.type, coalesce(m.sql, ''), c.name, c.type, c.hidden <> 0, c."notnull", c.dflt_value, c.pk
FROM sqlite_schema m
JOIN pragma_table_xinfo(m.name) c
WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY m.name, c.cid
