-- The schemas of objects, as this session sees them, with their descriptions. An object of a class without a schema, and
-- one that does not exist, is not among them. $1 classes, $2 oids, of equal number
WITH wanted AS MATERIALIZED (
    SELECT w.classid, w.objid FROM unnest($1::text[]::oid[], $2::text[]::oid[]) AS w (classid, objid)
), homes (classid, objid, home) AS (
    SELECT w.classid, w.objid, o.oid FROM wanted w JOIN pg_catalog.pg_namespace o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.relnamespace FROM wanted w JOIN pg_catalog.pg_class o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.typnamespace FROM wanted w JOIN pg_catalog.pg_type o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.pronamespace FROM wanted w JOIN pg_catalog.pg_proc o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.oprnamespace FROM wanted w JOIN pg_catalog.pg_operator o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.connamespace FROM wanted w JOIN pg_catalog.pg_conversion o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_conversion'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.collnamespace FROM wanted w JOIN pg_catalog.pg_collation o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.stxnamespace FROM wanted w JOIN pg_catalog.pg_statistic_ext o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.cfgnamespace FROM wanted w JOIN pg_catalog.pg_ts_config o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.dictnamespace FROM wanted w JOIN pg_catalog.pg_ts_dict o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.connamespace FROM wanted w JOIN pg_catalog.pg_constraint o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, o.defaclnamespace FROM wanted w JOIN pg_catalog.pg_default_acl o ON o.oid = w.objid
    WHERE w.classid = 'pg_catalog.pg_default_acl'::pg_catalog.regclass
    UNION ALL -- the server's own types belong to no boundary
    SELECT w.classid, w.objid, t.typnamespace FROM wanted w JOIN pg_catalog.pg_cast o ON o.oid = w.objid
    JOIN pg_catalog.pg_type t ON t.oid IN (o.castsource, o.casttarget) AND t.typnamespace <> 11
    WHERE w.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, c.relnamespace FROM wanted w JOIN pg_catalog.pg_attrdef o ON o.oid = w.objid
    JOIN pg_catalog.pg_class c ON c.oid = o.adrelid
    WHERE w.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, c.relnamespace FROM wanted w JOIN pg_catalog.pg_trigger o ON o.oid = w.objid
    JOIN pg_catalog.pg_class c ON c.oid = o.tgrelid
    WHERE w.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, c.relnamespace FROM wanted w JOIN pg_catalog.pg_rewrite o ON o.oid = w.objid
    JOIN pg_catalog.pg_class c ON c.oid = o.ev_class
    WHERE w.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    UNION ALL
    SELECT w.classid, w.objid, c.relnamespace FROM wanted w JOIN pg_catalog.pg_policy o ON o.oid = w.objid
    JOIN pg_catalog.pg_class c ON c.oid = o.polrelid
    WHERE w.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
)
SELECT h.classid::text, h.objid::text, h.home::text, pg_catalog.pg_describe_object(h.classid, h.objid, 0)
FROM homes h
