-- The role that has logged in, when its password expires, and how many seconds are left by the server's clock. No row:
-- never.
SELECT r.rolname::text, r.rolvaliduntil, extract(epoch FROM r.rolvaliduntil - pg_catalog.clock_timestamp())::float8
FROM pg_catalog.pg_roles r
WHERE r.rolname = session_user AND pg_catalog.isfinite(r.rolvaliduntil)
