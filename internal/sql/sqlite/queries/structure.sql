-- Everything in the file but the tables that SQLite itself makes, and those that a virtual table makes for its content: type,
-- name, table, definition, kind of an index, WITHOUT ROWID, STRICT. Views and virtual tables are not opened: what they refer
-- to may be missing.
WITH listed AS MATERIALIZED (
    SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'
)
SELECT CASE l.type WHEN 'virtual' THEN 'virtual table' ELSE m.type END, m.name, m.tbl_name, m.sql,
    CASE m.type WHEN 'index' THEN (
        SELECT CASE
            WHEN i."unique" THEN 'unique'
            WHEN i.partial OR EXISTS (SELECT 1 FROM pragma_index_xinfo(m.name) c WHERE c.cid = -2) THEN 'computed'
            ELSE 'plain'
        END
        FROM pragma_index_list(m.tbl_name) i
        WHERE i.name = m.name
    ) ELSE '' END,
    coalesce(l.wr, 0), coalesce(l.strict, 0)
FROM sqlite_schema m
LEFT JOIN listed l ON l.name = m.tbl_name
WHERE m.sql IS NOT NULL AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND l.type IS NOT 'shadow'
