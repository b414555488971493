-- Whether commits wait for synchronous standbys. Every role may read the setting.
SELECT pg_catalog.current_setting('synchronous_standby_names') <> ''
