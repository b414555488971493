-- ?1 tenant, ?2 display name, ?3 strategy, ?4 path, ?5 created at (UTC), ?6 created by, ?7 plan or '', ?8 and ?9 its
-- limits of bytes and rows or 0, ?10 the fingerprint of the definition or ''
INSERT INTO tenant_registry
    (tenant_id, display_name, is_system, isolation_strategy, database_path,
     created_at, created_by, last_updated_at, last_updated_by, plan, plan_max_bytes, plan_max_rows, definition)
VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?5, NULL, nullif(?7, ''), nullif(?8, 0), nullif(?9, 0),
    nullif(?10, ''))
