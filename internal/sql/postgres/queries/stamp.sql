SELECT registry_id::text FROM {registry}.registry_stamp
