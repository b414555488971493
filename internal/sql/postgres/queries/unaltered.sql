-- Whether the relations of a boundary are as the pool has recorded them: each is there and has its version, this role
-- owns it, and it has no page, unless scripts have filled it or it is a sequence. It reads one catalogue, by oid: its
-- plan is made again after every CREATE SCHEMA and RENAME in the database.
-- $1 the relations, $2 their versions, $3 the names of those that scripts have filled
SELECT count(*) = cardinality($1::text::oid[])
FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($1::text::oid[])
    AND c.xmin = ($2::text::xid[])[pg_catalog.array_position($1::text::oid[], c.oid)]
    AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
    AND (c.relkind = 'S' OR pg_catalog.pg_relation_size(c.oid) = 0 OR c.relname = ANY ($3::text[]))
