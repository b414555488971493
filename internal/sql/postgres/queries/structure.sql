-- Everything in the schema $1: one row for each object, with its kind, the name of what it belongs to, its name, its place
-- (of a column), and its properties, as names and values in turn. structure.go interprets them.
--
-- While it runs, search_path begins with the schema. So the catalogue's functions print the names of what is in it without
-- the schema, and an object of pg_catalog that has the same name with pg_catalog. The statement itself makes the setting:
-- its own functions and operators are resolved before that. The other settings are those on which texts of constants depend.
--
-- What is in a schema is read from pg_depend, which has an index for it; pg_class and others have an index for names only,
-- and would be read in whole.
WITH boundary AS MATERIALIZED (
    SELECT n.oid AS id, has_schema_privilege(n.oid, 'USAGE') AS usable,
        set_config('search_path', quote_ident(n.nspname) || ', pg_catalog, pg_temp', true)
        || set_config('quote_all_identifiers', 'off', true) || set_config('datestyle', 'ISO, MDY', true)
        || set_config('intervalstyle', 'postgres', true) || set_config('timezone', 'UTC', true)
        || set_config('bytea_output', 'hex', true) || set_config('extra_float_digits', '1', true)
        || set_config('lc_monetary', 'C', true) || set_config('xmlbinary', 'base64', true) AS settings
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname = $1::text
), content AS MATERIALIZED (
    SELECT DISTINCT k.relname AS class, d.classid, d.objid, EXISTS (SELECT FROM pg_catalog.pg_depend e
        WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e') AS of_extension
    FROM boundary b
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = b.id
    JOIN pg_catalog.pg_class k ON k.oid = d.classid
), relation AS MATERIALIZED (
    SELECT c.oid AS id, c.relname::text AS name, c.relkind AS kind, c.relpersistence, c.reloptions, c.relam, c.reltype,
        c.reltoastrelid, c.relispartition, c.relpartbound, c.reloftype, c.relrowsecurity, c.relforcerowsecurity, c.relreplident
    FROM content d
    JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.class = 'pg_class' AND NOT d.of_extension
), type AS MATERIALIZED (
    SELECT t.oid AS id, t.typname::text AS name, t.typtype AS kind, t.typrelid, t.typbasetype, t.typtypmod, t.typnotnull,
        t.typdefaultbin, t.typcollation
    FROM boundary b
    CROSS JOIN content d
    JOIN pg_catalog.pg_type t ON t.oid = d.objid AND t.typnamespace = b.id
    WHERE d.class = 'pg_type' AND NOT d.of_extension
)
SELECT 'boundary' AS kind, '' AS parent, '' AS name, 0 AS place, ARRAY['usable', b.usable::text, 'set', b.settings] AS properties
FROM boundary b
UNION ALL
-- An expression can refer to the schema itself, so what has expressions is here too.
SELECT 'unreadable', '', pg_describe_object(d.classid, d.objid, 0), 0,
    ARRAY['reason', CASE WHEN d.of_extension THEN 'it belongs to an extension' ELSE 'its kind is not compared' END]
FROM content d
WHERE d.of_extension
    OR d.class NOT IN ('pg_class', 'pg_type', 'pg_proc', 'pg_operator', 'pg_collation', 'pg_conversion', 'pg_statistic_ext',
        'pg_ts_config', 'pg_ts_dict', 'pg_default_acl', 'pg_publication_namespace',
        'pg_attrdef', 'pg_constraint', 'pg_policy', 'pg_rewrite', 'pg_trigger', 'pg_publication_rel')
    OR d.class = 'pg_class' AND (SELECT r.kind NOT IN ('r', 'p', 'f', 'v', 'm', 'S') FROM relation r WHERE r.id = d.objid)
    OR d.class = 'pg_type' AND (SELECT t.kind NOT IN ('c', 'd', 'e', 'r', 'm') FROM type t WHERE t.id = d.objid)
UNION ALL
SELECT CASE r.kind WHEN 'f' THEN 'foreign table' ELSE 'table' END, '', r.name, 0, ARRAY[
    'persistence', CASE r.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'unlogged' ELSE r.relpersistence::text END,
    'partitioned', pg_get_partkeydef(r.id),
    CASE WHEN r.relispartition THEN 'partition of' ELSE 'inherits' END,
    (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
        FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.id),
    'partition', pg_get_expr(r.relpartbound, r.id),
    'row type', CASE WHEN r.reloftype <> 0 THEN format_type(r.reloftype, NULL) END,
    'row security', CASE WHEN r.relrowsecurity AND r.relforcerowsecurity THEN 'forced' WHEN r.relrowsecurity THEN 'enabled'
        WHEN r.relforcerowsecurity THEN 'forced, but disabled' END,
    'replica identity', CASE r.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
        WHEN 'i' THEN 'an index' END,
    'access method', (SELECT a.amname FROM pg_catalog.pg_am a WHERE a.oid = r.relam),
    'options', (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(r.reloptions) o),
    'options of its TOAST table', (SELECT string_agg(o, ', ' ORDER BY o)
        FROM pg_catalog.pg_class t CROSS JOIN unnest(t.reloptions) o WHERE t.oid = r.reltoastrelid),
    'server', (SELECT concat_ws(': ', s.srvname, (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(f.ftoptions) o))
        FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = r.id)]
FROM relation r
WHERE r.kind IN ('r', 'p', 'f')
UNION ALL
SELECT CASE r.kind WHEN 'm' THEN 'materialized view' ELSE 'view' END, '', r.name, 0, ARRAY[
    'query', pg_get_viewdef(r.id),
    'options', (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(r.reloptions) o),
    'access method', (SELECT a.amname FROM pg_catalog.pg_am a WHERE a.oid = r.relam),
    'replica identity', CASE WHEN r.relreplident <> 'n' AND r.kind = 'm' THEN r.relreplident::text END]
FROM relation r
WHERE r.kind IN ('v', 'm')
UNION ALL
-- Of a view, only a default is not in its query.
SELECT CASE r.kind WHEN 'c' THEN 'attribute' WHEN 'v' THEN 'view column' ELSE 'column' END, r.name, a.attname, a.attnum, ARRAY[
    'type', format_type(a.atttypid, a.atttypmod),
    'not null', CASE WHEN a.attnotnull THEN CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = r.id AND k.contype = 'n' AND NOT k.convalidated AND k.conkey = ARRAY[a.attnum])
        THEN 'not validated' ELSE 'yes' END END,
    'default', CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    'generated', CASE a.attgenerated WHEN '' THEN NULL ELSE pg_get_expr(d.adbin, d.adrelid)
        || CASE a.attgenerated WHEN 's' THEN ', stored' WHEN 'v' THEN ', virtual' ELSE ', ' || a.attgenerated::text END END,
    'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
    'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external'
        WHEN 'm' THEN 'main' WHEN 'x' THEN 'extended' END END,
    'domain', CASE t.typtype WHEN 'd' THEN 'yes' END,
    'compression', {compression},
    'statistics target', nullif(a.attstattarget, -1)::text,
    'options', (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attoptions || a.attfdwoptions) o
        WHERE NOT starts_with(o, 'pg_')), -- 17.12 keeps a number of its own there, pg_attver, which no statement can set
    'inherited', CASE WHEN a.attinhcount > 0 AND a.attislocal THEN 'and local' WHEN a.attinhcount > 0 THEN 'yes' END]
FROM (SELECT r.id, r.name, r.kind FROM relation r WHERE r.kind IN ('r', 'p', 'f', 'v')
    UNION ALL SELECT t.typrelid, t.name, 'c' FROM type t WHERE t.kind = 'c') r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.id AND a.attnum > 0 AND NOT a.attisdropped AND (r.kind <> 'v' OR a.atthasdef)
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
-- NOT NULL is the column's, a constraint trigger is a trigger, and those of the parts of a partitioned table that a foreign
-- key refers to are its own.
SELECT CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique key' WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check'
        WHEN 'x' THEN 'exclusion' ELSE 'constraint' END, r.name, k.conname, 0, ARRAY[
    'definition', pg_get_constraintdef(k.oid),
    'index', CASE WHEN x.indexrelid IS NOT NULL THEN pg_get_indexdef(x.indexrelid, 0, true) END,
    'index state', CASE WHEN NOT (x.indisvalid AND x.indisready AND x.indislive) THEN 'invalid' END,
    'index use', nullif(concat_ws(', ', CASE WHEN x.indisreplident THEN 'replica identity' END,
        CASE WHEN x.indisclustered THEN 'clustered' END), ''),
    'enforced by', (SELECT string_agg(DISTINCT CASE g.tgenabled WHEN 'D' THEN 'disabled triggers'
        WHEN 'R' THEN 'triggers on replicas' ELSE 'triggers also on replicas' END, ', ')
        FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgenabled <> 'O'),
    'inherited', CASE WHEN k.coninhcount > 0 AND k.conislocal THEN 'and local' WHEN k.coninhcount > 0 THEN 'yes' END]
FROM (SELECT r.id, r.name FROM relation r WHERE r.kind IN ('r', 'p', 'f')) r
JOIN pg_catalog.pg_constraint k ON k.conrelid = r.id AND k.contype NOT IN ('n', 't')
LEFT JOIN pg_catalog.pg_index x ON k.contype IN ('p', 'u', 'x') AND x.indexrelid = k.conindid
WHERE k.conparentid = 0 OR (SELECT p.conrelid <> k.conrelid FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid)
UNION ALL
SELECT 'check', t.name, k.conname, 0, ARRAY['definition', pg_get_constraintdef(k.oid)]
FROM type t
JOIN pg_catalog.pg_constraint k ON k.contypid = t.id AND k.contype <> 'n'
WHERE t.kind = 'd'
UNION ALL
SELECT 'index', r.name, c.relname, 0, ARRAY[
    'definition', pg_get_indexdef(c.oid, 0, true),
    'kind', CASE WHEN x.indisunique THEN 'unique' WHEN x.indexprs IS NOT NULL OR x.indpred IS NOT NULL THEN 'computed'
        ELSE 'plain' END,
    'state', CASE WHEN NOT (x.indisvalid AND x.indisready AND x.indislive) THEN 'invalid' END,
    'use', nullif(concat_ws(', ', CASE WHEN x.indisreplident THEN 'replica identity' END,
        CASE WHEN x.indisclustered THEN 'clustered' END), ''),
    'partition of', (SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
    'statistics targets', (SELECT string_agg(a.attnum || ' ' || a.attstattarget, ', ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0)]
FROM (SELECT r.id, r.name FROM relation r WHERE r.kind IN ('r', 'p', 'm')) r
JOIN pg_catalog.pg_index x ON x.indrelid = r.id
JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = r.id AND k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'sequence', '', r.name, 0, ARRAY[
    'type', format_type(s.seqtypid, NULL), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
    'minimum', s.seqmin::text, 'maximum', s.seqmax::text, 'cache', s.seqcache::text,
    'cycle', CASE WHEN s.seqcycle THEN 'yes' END,
    'persistence', CASE r.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'unlogged' ELSE r.relpersistence::text END,
    'owned by', (SELECT CASE d.deptype WHEN 'i' THEN 'identity ' ELSE '' END || d.refobjid::regclass || '.' || a.attname
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = r.id
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i'))]
FROM relation r
JOIN pg_catalog.pg_sequence s ON s.seqrelid = r.id
UNION ALL
-- The functions that construct a range belong to its type.
SELECT CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
        WHEN 'w' THEN 'window function' ELSE 'routine' END, '', p.proname || '(' || oidvectortypes(p.proargtypes) || ')', 0, ARRAY[
    'arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
    'language', (SELECT l.lanname FROM pg_catalog.pg_language l WHERE l.oid = p.prolang),
    'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' WHEN 'v' THEN 'volatile' END,
    'strict', CASE WHEN p.proisstrict THEN 'yes' END, 'security definer', CASE WHEN p.prosecdef THEN 'yes' END,
    'leakproof', CASE WHEN p.proleakproof THEN 'yes' END,
    'parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' WHEN 'u' THEN 'unsafe' END,
    'cost', p.procost::text, 'rows', p.prorows::text, 'support', nullif(p.prosupport, 0)::regprocedure::text,
    'transforms', (SELECT string_agg(format_type(t, NULL), ', ') FROM unnest(p.protrftypes) t),
    'settings', array_to_string(p.proconfig, E'\n'),
    'library', p.probin,
    'body', coalesce({sql_body}, p.prosrc),
    'aggregate', (SELECT concat_ws(', ', g.aggkind, g.aggnumdirectargs, g.aggtransfn, g.aggfinalfn, g.aggcombinefn,
            g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn, concat(g.aggfinalextra, g.aggmfinalextra),
            concat(g.aggfinalmodify, g.aggmfinalmodify), g.aggsortop::regoperator, format_type(g.aggtranstype, NULL), g.aggtransspace,
            format_type(g.aggmtranstype, NULL), g.aggmtransspace, quote_nullable(g.agginitval), quote_nullable(g.aggminitval))
        FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid)]
FROM boundary b
CROSS JOIN content d
JOIN pg_catalog.pg_proc p ON p.oid = d.objid AND p.pronamespace = b.id
WHERE d.class = 'pg_proc' AND NOT d.of_extension AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
    WHERE i.classid = 'pg_catalog.pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')
UNION ALL
-- Those of a partition follow the trigger of the partitioned table.
SELECT 'trigger', r.name, g.tgname, 0, ARRAY[
    'definition', pg_get_triggerdef(g.oid, true),
    'state', CASE g.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas'
        WHEN 'A' THEN 'enabled always' END]
FROM relation r
JOIN pg_catalog.pg_trigger g ON g.tgrelid = r.id AND NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT 'rule', r.name, w.rulename, 0, ARRAY[
    'definition', pg_get_ruledef(w.oid, true),
    'state', CASE w.ev_enabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas'
        WHEN 'A' THEN 'enabled always' END]
FROM relation r
JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.id AND w.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', r.name, p.polname, 0, ARRAY[
    'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
        ELSE 'ALL' END,
    'kind', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
    'roles', (SELECT string_agg(CASE o WHEN 0 THEN 'public' ELSE pg_get_userbyid(o)::text END, ', ' ORDER BY o)
        FROM unnest(p.polroles) o),
    'using', pg_get_expr(p.polqual, p.polrelid), 'with check', pg_get_expr(p.polwithcheck, p.polrelid)]
FROM relation r
JOIN pg_catalog.pg_policy p ON p.polrelid = r.id
UNION ALL
SELECT CASE t.kind WHEN 'd' THEN 'domain' ELSE 'type' END, '', t.name, 0, ARRAY[
    'form', CASE t.kind WHEN 'c' THEN 'composite' WHEN 'e' THEN 'enum' WHEN 'r' THEN 'range' END,
    'labels', (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.id),
    'range', (SELECT concat_ws(', ', format_type(g.rngsubtype, NULL), nullif(g.rngcollation, 0)::regcollation,
            (SELECT o.opcnamespace::regnamespace || '.' || o.opcname FROM pg_catalog.pg_opclass o WHERE o.oid = g.rngsubopc),
            'canonical ' || nullif(g.rngcanonical, 0)::regproc, 'difference ' || nullif(g.rngsubdiff, 0)::regproc,
            'multirange ' || (to_jsonb(g) ->> 'rngmultitypid')::regtype)
        FROM pg_catalog.pg_range g WHERE g.rngtypid = t.id),
    'type', CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END,
    'not null', CASE WHEN t.typnotnull THEN 'yes' END,
    'default', pg_get_expr(t.typdefaultbin, 0),
    'collation', CASE WHEN t.typcollation <> (SELECT o.typcollation FROM pg_catalog.pg_type o WHERE o.oid = t.typbasetype)
        THEN t.typcollation::regcollation::text END]
FROM type t
WHERE t.kind IN ('c', 'd', 'e', 'r') AND NOT EXISTS (SELECT FROM relation r WHERE r.id = t.typrelid)
UNION ALL
SELECT 'operator', '', concat_ws(' ', format_type(nullif(o.oprleft, 0), NULL), o.oprname,
        format_type(nullif(o.oprright, 0), NULL)), 0, ARRAY[
    'result', format_type(o.oprresult, NULL), 'function', nullif(o.oprcode, 0)::regprocedure::text,
    'commutator', nullif(o.oprcom, 0)::regoperator::text, 'negator', nullif(o.oprnegate, 0)::regoperator::text,
    'restrict', nullif(o.oprrest, 0)::regproc::text, 'join', nullif(o.oprjoin, 0)::regproc::text,
    'hashes', CASE WHEN o.oprcanhash THEN 'yes' END, 'merges', CASE WHEN o.oprcanmerge THEN 'yes' END]
FROM content d
JOIN pg_catalog.pg_operator o ON o.oid = d.objid
WHERE d.class = 'pg_operator' AND NOT d.of_extension
UNION ALL
SELECT 'collation', '', l.collname, 0, ARRAY[
    'provider', l.collprovider::text, 'encoding', l.collencoding::text, 'LC_COLLATE', l.collcollate::text,
    'LC_CTYPE', l.collctype::text, -- as JSON, because these columns depend on the server's version
    'locale', coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale'), 'rules', to_jsonb(l) ->> 'collicurules',
    'deterministic', CASE WHEN NOT l.collisdeterministic THEN 'no' END]
FROM content d
JOIN pg_catalog.pg_collation l ON l.oid = d.objid
WHERE d.class = 'pg_collation' AND NOT d.of_extension
UNION ALL
SELECT 'conversion', '', v.conname, 0, ARRAY[
    'encodings', pg_encoding_to_char(v.conforencoding) || ' to ' || pg_encoding_to_char(v.contoencoding),
    'function', v.conproc::text, 'default', CASE WHEN v.condefault THEN 'yes' END]
FROM content d
JOIN pg_catalog.pg_conversion v ON v.oid = d.objid
WHERE d.class = 'pg_conversion' AND NOT d.of_extension
UNION ALL
-- The definition begins with CREATE STATISTICS and the qualified name.
SELECT 'statistics', '', s.stxname, 0, ARRAY[
    'definition', substr(pg_get_statisticsobjdef(s.oid),
        length('CREATE STATISTICS ' || quote_ident($1::text) || '.' || quote_ident(s.stxname)) + 2),
    'target', nullif(s.stxstattarget, -1)::text]
FROM boundary b
CROSS JOIN content d
JOIN pg_catalog.pg_statistic_ext s ON s.oid = d.objid AND s.stxnamespace = b.id
WHERE d.class = 'pg_statistic_ext' AND NOT d.of_extension
UNION ALL
SELECT 'text search configuration', '', f.cfgname, 0, ARRAY[
    'parser', (SELECT CASE s.prsnamespace WHEN b.id THEN '' ELSE s.prsnamespace::regnamespace || '.' END || s.prsname
        FROM pg_catalog.pg_ts_parser s WHERE s.oid = f.cfgparser),
    'mappings', (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ', '
        ORDER BY m.maptokentype, m.mapseqno) FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = f.oid)]
FROM boundary b
CROSS JOIN content d
JOIN pg_catalog.pg_ts_config f ON f.oid = d.objid
WHERE d.class = 'pg_ts_config' AND NOT d.of_extension
UNION ALL
SELECT 'text search dictionary', '', i.dictname, 0, ARRAY[
    'template', (SELECT CASE t.tmplnamespace WHEN b.id THEN '' ELSE t.tmplnamespace::regnamespace || '.' END || t.tmplname
        FROM pg_catalog.pg_ts_template t WHERE t.oid = i.dicttemplate),
    'options', i.dictinitoption]
FROM boundary b
CROSS JOIN content d
JOIN pg_catalog.pg_ts_dict i ON i.oid = d.objid
WHERE d.class = 'pg_ts_dict' AND NOT d.of_extension
UNION ALL
-- Casts and transforms are in no schema. They are here with the types that they are for, but not those that a range has of
-- itself.
SELECT 'cast', '', format_type(k.castsource, NULL) || ' as ' || format_type(k.casttarget, NULL), 0, ARRAY[
    'function', nullif(k.castfunc, 0)::regprocedure::text,
    'context', CASE k.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment' WHEN 'i' THEN 'implicit' END,
    'method', CASE k.castmethod WHEN 'f' THEN 'function' WHEN 'i' THEN 'text' WHEN 'b' THEN 'binary' END]
FROM pg_catalog.pg_cast k
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
        WHERE i.classid = 'pg_catalog.pg_cast'::regclass AND i.objid = k.oid AND i.deptype = 'i')
    AND k.oid IN (SELECT c.objid
    FROM (SELECT t.id FROM type t UNION ALL SELECT r.reltype FROM relation r) t
    JOIN pg_catalog.pg_depend c ON c.refclassid = 'pg_catalog.pg_type'::regclass AND c.refobjid = t.id
        AND c.classid = 'pg_catalog.pg_cast'::regclass)
UNION ALL
SELECT 'transform', '', format_type(f.trftype, NULL) || ' for ' || l.lanname, 0, ARRAY[
    'from SQL', nullif(f.trffromsql, 0)::regprocedure::text, 'to SQL', nullif(f.trftosql, 0)::regprocedure::text]
FROM pg_catalog.pg_transform f
JOIN pg_catalog.pg_language l ON l.oid = f.trflang
WHERE f.trftype IN (SELECT t.id FROM type t)
