-- Takes the write lock. A registry on a read-only file system, or locked by another process, cannot be written to.
UPDATE tenant_requests SET attempts = attempts WHERE false;
UPDATE tenant_registry SET tenant_id = tenant_id WHERE false
