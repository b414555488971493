-- All that SQLite knows of a file's structure, as one text.
SELECT group_concat(line, char(10))
FROM (SELECT concat_ws(',', quote(type), quote(name), quote(tbl_name), rootpage, quote(sql)) AS line
    FROM sqlite_schema ORDER BY rowid)
