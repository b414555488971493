-- The values of TimeZone with which sessions in this database begin, unless their programs set it: what is set for the
-- database, for roles, or for both (which precedes that for the role), and the server's, which is hidden if one of these
-- is for this session.
WITH own AS MATERIALIZED (
    SELECT s.setdatabase <> 0 AS in_database, s.setrole, pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) AS zone
    FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS c
    WHERE lower(pg_catalog.split_part(c, '=', 1)) = 'timezone'
        AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
)
SELECT own.in_database, coalesce(r.rolname::text, '') AS role, own.zone
FROM own LEFT JOIN pg_catalog.pg_roles r ON r.oid = own.setrole
WHERE r.rolname IS DISTINCT FROM current_user
    AND (own.in_database OR NOT EXISTS (SELECT FROM own o WHERE o.setrole = own.setrole AND o.in_database))
UNION ALL
SELECT false, '', p.reset_val
FROM pg_catalog.pg_settings p
WHERE p.name = 'TimeZone' AND NOT EXISTS (SELECT FROM own LEFT JOIN pg_catalog.pg_roles r ON r.oid = own.setrole
    WHERE own.setrole = 0 OR r.rolname = current_user)
ORDER BY 1, 2
