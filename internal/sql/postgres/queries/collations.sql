-- The collations by which indexes of this database are ordered, except C and POSIX: whether it is the database's own,
-- the name, the recorded and the present version of what it is made of (both empty for the database's own), the indexes
-- in the schema $1, and the number of all.
SELECT c.oid = 100, pg_catalog.format('%I.%I', n.nspname, c.collname), coalesce(c.collversion, ''),
    CASE WHEN c.collversion IS NULL THEN '' ELSE coalesce(pg_catalog.pg_collation_actual_version(c.oid), '') END,
    used.registry, used.total
FROM (
    SELECT i.coll, count(DISTINCT i.indexrelid) AS total,
        coalesce(array_agg(DISTINCT x.relname::text) FILTER (WHERE m.nspname = $1::text), '{}') AS registry
    FROM (SELECT indexrelid, unnest(indcollation::oid[]) AS coll FROM pg_catalog.pg_index) AS i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace m ON m.oid = x.relnamespace
    WHERE i.coll NOT IN (0, 950, 951)
    GROUP BY i.coll
) AS used
JOIN pg_catalog.pg_collation c ON c.oid = used.coll
JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
ORDER BY 1 DESC, 2
