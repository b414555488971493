-- How the server has authenticated this session, as pg_hba.conf names the methods; empty: not at all. Since PostgreSQL 16.
SELECT coalesce(pg_catalog.split_part(system_user, ':', 1), '')
