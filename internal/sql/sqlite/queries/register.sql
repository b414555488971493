-- ?1 tenant, ?2 display name, ?3 strategy, ?4 path, ?5 created at (UTC), ?6 created by
INSERT INTO tenant_registry
    (tenant_id, display_name, is_system, isolation_strategy, database_path,
     created_at, created_by, last_updated_at, last_updated_by)
VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?5, NULL)
