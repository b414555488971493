-- What distinguishes a server from others. A physical copy of the server, such as a standby, has the same.
SELECT system_identifier::text FROM pg_catalog.pg_control_system()
