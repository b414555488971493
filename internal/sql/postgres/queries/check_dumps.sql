-- Fails with a division by zero if a pg_dump may see the boundary that this transaction renames under its old name.
-- Within a transaction the server keeps what it has read of other sessions until clear_activity.sql.
-- $1 transaction that built the boundary, $2 whether it was the oldest, see add_prepared.sql
SELECT 1 / (dumps.newest IS NULL OR $2::boolean AND pg_catalog.age($1::text::xid) BETWEEN 0 AND dumps.newest)::integer
FROM (
{dumps}) AS dumps
