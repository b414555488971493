-- The structure of the schema $1, limited to the relations named in $2 (tables and indexes), by catalogue and oid:
-- search_path is not used. One row, with one array of texts for each catalogue; inspect.go interprets them. Most of the
-- cost is planning, which is repeated after every CREATE SCHEMA in the database, so there are no joins:
-- inspect_names.sql returns the names of objects that are not in the definition.
WITH t AS MATERIALIZED (
    SELECT array_agg(c.oid) FILTER (WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS oids,
        array_agg(ARRAY[c.oid::text, c.relname::text, c.relkind::text, c.relpersistence::text,
            c.relispartition::text, c.relrowsecurity::text, c.relhasrules::text, c.relhassubclass::text,
            c.relreplident::text, c.relam::text]) AS relations
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
        AND c.relname = ANY ($2::text[])
)
SELECT t.relations,
    (SELECT array_agg(ARRAY[a.attrelid::text, a.attnum::text, a.attname::text, a.atttypid::text, a.atttypmod::text,
        CASE WHEN a.atttypid IN (16, 23, 25, 114, 1043, 1114, 2950) THEN ''
            ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END,
        a.attgenerated::text, a.attidentity::text, a.attnotnull::text, a.attcollation::text, a.attinhcount::text])
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = ANY (t.oids) AND a.attnum > 0 AND NOT a.attisdropped),
    -- An expression without columns needs no table, which would have to be opened.
    (SELECT array_agg(ARRAY[d.adrelid::text, d.adnum::text, pg_catalog.pg_get_expr(d.adbin,
        CASE WHEN d.adbin::text LIKE '%{VAR %' THEN d.adrelid ELSE 0 END)])
    FROM pg_catalog.pg_attrdef d
    WHERE d.adrelid = ANY (t.oids)),
    (SELECT array_agg(ARRAY[k.conrelid::text, k.conname::text, k.contype::text,
        coalesce(k.conkey::text, ''), k.confrelid::text, coalesce(k.confkey::text, ''), k.confdeltype::text, k.confupdtype::text,
        k.convalidated::text, k.condeferrable::text])
    FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = ANY (t.oids) AND k.contype NOT IN ('p', 'u') AND (k.contype <> 'n' OR NOT k.convalidated)),
    (SELECT array_agg(ARRAY[x.indrelid::text, x.indexrelid::text, x.indkey::text, x.indnkeyatts::text,
        x.indisprimary::text, x.indisunique::text,
        (x.indisvalid AND x.indisready AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL)::text,
        x.indcollation::text, (x.indpred IS NOT NULL OR x.indexprs IS NOT NULL)::text])
    FROM pg_catalog.pg_index x
    WHERE x.indrelid = ANY (t.oids)),
    -- Internal triggers check foreign keys. Only those that do not fire matter.
    (SELECT array_agg(ARRAY[g.tgrelid::text, g.tgname::text, g.tgisinternal::text])
    FROM pg_catalog.pg_trigger g
    WHERE g.tgrelid = ANY (t.oids) AND (NOT g.tgisinternal OR g.tgenabled NOT IN ('O', 'A')))
FROM t
