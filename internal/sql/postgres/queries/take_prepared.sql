-- Takes a free boundary of the definition, unless the tenant's schema exists already. The boundary must still be
-- usable: its schema exists, this role may rename it, and no relation in it has a page. pg_depend, which has an index
-- for that, finds the relations. OFFSET 0 keeps the candidates in a plan of their own, without an order: they are
-- found, locked and checked one by one until one is usable, instead of all of them to find one.
-- $1 definition, $2 the tenant's schema
DELETE FROM {registry}.prepared_boundaries
WHERE schema_name = (
    SELECT candidate.schema_name
    FROM (
        SELECT p.schema_name
        FROM {registry}.prepared_boundaries p
        WHERE p.definition = $1::text
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $2::text)
        OFFSET 0
        FOR UPDATE SKIP LOCKED
    ) AS candidate
    WHERE (
        SELECT pg_catalog.pg_has_role(n.nspowner, 'USAGE') AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_class c ON c.oid = d.objid
            WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid
                AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND (c.relkind = 'f' OR pg_catalog.pg_relation_size(c.oid) > 0))
        FROM pg_catalog.pg_namespace n
        WHERE n.nspname = candidate.schema_name
    )
    LIMIT 1
)
RETURNING schema_name, stamped
