-- The timeouts in force for this session, in milliseconds; 0: none.
SELECT
    (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'),
    (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'statement_timeout')
