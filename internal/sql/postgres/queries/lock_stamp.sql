-- The registry's id, locked until the transaction ends.
SELECT registry_id::text FROM {registry}.registry_stamp FOR UPDATE
