-- Functions and operators in schema public that fit varchar better than those of pg_catalog, which take text. They
-- refuse the sessions of the program and serve all others, such as those of tests.
SET check_function_bodies = off;
SET client_min_messages = warning;

CREATE FUNCTION public.refuse_program(what text) RETURNS void LANGUAGE plpgsql AS $refuse$
BEGIN
    IF pg_catalog.starts_with(pg_catalog.current_setting('application_name'), 'tenant-provisioner') THEN
        RAISE EXCEPTION 'the program calls code of schema public: %', what;
    END IF;
END $refuse$;

DO $hostile$
DECLARE
    item record;
    form record;
BEGIN
    -- Each function of these names that takes text, with one or all of its texts as varchar.
    FOR item IN
        SELECT DISTINCT p.oid, p.proname AS name, p.proargtypes::oid[] AS types, p.prorettype AS result
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0
            AND p.proname IN ('lower', 'upper', 'left', 'right', 'length', 'starts_with', 'replace', 'strpos', 'md5')
            AND 'text'::regtype::oid = ANY (p.proargtypes::oid[]) AND NOT p.proretset
    LOOP
        FOR form IN
            SELECT DISTINCT string_agg(CASE WHEN t.type = 'text'::regtype AND (one.at IN (0, t.at))
                    THEN 'varchar' ELSE format_type(t.type, NULL) END, ', ' ORDER BY t.at) AS args,
                string_agg(format('$%s::%s', t.at, format_type(t.type, NULL)), ', ' ORDER BY t.at) AS passed
            FROM generate_series(0, cardinality(item.types)) AS one (at),
                unnest(item.types) WITH ORDINALITY AS t (type, at)
            GROUP BY one.at
            HAVING bool_or(t.type = 'text'::regtype AND one.at IN (0, t.at))
        LOOP
            EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS %L',
                item.name, form.args, format_type(item.result, NULL),
                format('BEGIN PERFORM public.refuse_program(%L); RETURN pg_catalog.%I(%s); END',
                    item.name, item.name, form.passed));
        END LOOP;
    END LOOP;

    FOR item IN
        SELECT o.name, l.type AS l, r.type AS r, l.as_type AS l_as, r.as_type AS r_as,
            CASE o.name WHEN '||' THEN 'text' ELSE 'boolean' END AS result,
            row_number() OVER () AS n
        FROM (VALUES ('='), ('<>'), ('<'), ('<='), ('>'), ('>='), ('||'), ('~~'), ('!~~')) AS o (name),
            (VALUES ('varchar', 'text'), ('text', 'text'), ('name', 'text'), ('oid', 'oid'), ('regclass', 'oid'))
                AS l (type, as_type),
            (VALUES ('varchar', 'text'), ('text', 'text'), ('name', 'text'), ('oid', 'oid'), ('regclass', 'oid'))
                AS r (type, as_type)
        WHERE l.as_type = r.as_type AND l.type <> r.type AND l.type || r.type NOT IN ('textname', 'nametext')
                AND (l.as_type = 'text' OR o.name IN ('=', '<>'))
            OR l.type = 'varchar' AND r.type = 'varchar'
    LOOP
        EXECUTE format('CREATE FUNCTION public.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS %L',
            item.n, item.l, item.r, item.result,
            format('BEGIN PERFORM public.refuse_program(%L); RETURN $1::%s OPERATOR(pg_catalog.%s) $2::%s; END',
                item.name, item.l_as, item.name, item.r_as));
        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.operator_%s)',
            item.name, item.l, item.r, item.n);
    END LOOP;
END
$hostile$;
