-- Is check_rows.sql, and fails with the square root of a negative number if a pg_dump may see the boundary that this
-- transaction renames under its old name. Within a transaction the server keeps what it has read of other sessions until
-- clear_activity.sql.
-- $1 to $4 see check_rows.sql, $5 transaction that built the boundary, $6 whether it was the oldest, see add_prepared.sql
SELECT (
{check_rows}),
    pg_catalog.sqrt(CASE WHEN dumps.newest IS NULL OR $6::boolean AND pg_catalog.age($5::text::xid) BETWEEN 0 AND dumps.newest
        THEN 0 ELSE -1 END::float8)
FROM (
{dumps}) AS dumps
