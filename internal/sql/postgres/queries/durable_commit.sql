-- Makes the commit of this transaction wait for the disk and for synchronous standbys, as far as the server is
-- configured to. A stricter configured level (remote_apply) is kept. The second setting: the server reports an
-- interrupted wait with a WARNING, which a session, a role or a database may have disabled.
SELECT pg_catalog.set_config('synchronous_commit',
        CASE pg_catalog.current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
    pg_catalog.set_config('client_min_messages', 'warning', true)
