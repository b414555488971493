    -- Whether a standby is connected, or a program that receives the WAL as one does. Every role sees the process ids.
    EXISTS (SELECT FROM pg_catalog.pg_stat_get_wal_senders() w
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_get_replication_slots() r
            WHERE r.active_pid = w.pid AND r.slot_type = 'logical'))
