-- What has one of the names ?1 (a JSON array), with each column of a table: name, kind, definition, WITHOUT ROWID, STRICT;
-- column, type, generated, not null, default, key position. Neither views nor virtual tables are opened: what they refer
-- to may be missing.
WITH named AS MATERIALIZED (
    SELECT name, CASE WHEN type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%' THEN 'virtual table' ELSE type END AS kind,
        coalesce(sql, '') AS definition
    FROM sqlite_schema
    WHERE type <> 'trigger' AND lower(name) IN (SELECT value FROM json_each(?1))
), options AS MATERIALIZED (
    SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
)
SELECT n.name, n.kind, n.definition, coalesce(o.wr, 0), coalesce(o.strict, 0), coalesce(c.name, ''), coalesce(c.type, ''),
    coalesce(c.hidden, 0) <> 0, coalesce(c."notnull", 0), c.dflt_value, coalesce(c.pk, 0)
FROM named n
LEFT JOIN options o ON o.name = n.name AND n.kind = 'table'
LEFT JOIN pragma_table_xinfo(CASE n.kind WHEN 'table' THEN n.name END) c
ORDER BY n.name, c.cid
