-- This transaction's commit need not wait for the disk: it only counts attempts.
SELECT pg_catalog.set_config('synchronous_commit', 'off', true)
