-- An object or a file that is not part of the tenant's file.
SELECT 'the temporary ' || type || ' ' || name FROM sqlite_temp_schema
UNION ALL
SELECT 'the attached database ' || name FROM pragma_database_list WHERE name NOT IN ('main', 'temp')
LIMIT 1
