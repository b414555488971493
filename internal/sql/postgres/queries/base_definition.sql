SELECT base_definition FROM {registry}.registry_stamp
