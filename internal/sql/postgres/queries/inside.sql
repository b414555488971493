-- The objects in the schema with the oid $1: class, oid.
SELECT d.classid::text, d.objid::text
FROM pg_catalog.pg_depend d
WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = $1::text::oid
