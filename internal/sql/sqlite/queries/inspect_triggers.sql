-- The triggers of the tables ?1 (a JSON array).
SELECT tbl_name, name
FROM sqlite_schema
WHERE type = 'trigger' AND lower(tbl_name) IN (SELECT value FROM json_each(?1))
ORDER BY tbl_name, name
