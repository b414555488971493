-- This transaction's commit waits for the disk and for synchronous standbys, as far as the server is configured to, and
-- longer where it is configured so (remote_apply). The second setting: the server reports a wait that was ended by a
-- WARNING, which a session, a role or a database may have switched off.
SELECT pg_catalog.set_config('synchronous_commit',
        CASE pg_catalog.current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
    pg_catalog.set_config('client_min_messages', 'warning', true)
