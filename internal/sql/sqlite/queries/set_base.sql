-- ?1 the base definition
UPDATE registry_stamp SET base_definition = ?1
