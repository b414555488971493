-- $1 the base definition
UPDATE {registry}.registry_stamp SET base_definition = $1::text
