-- Whether this role may read the server's identifier.
SELECT coalesce(has_function_privilege(pg_catalog.to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE'), false)
