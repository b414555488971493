-- Schemas whose name begins with $1, except the registry's, $2, prepared boundaries, whose prefix is $3, and the
-- server's own.
SELECT nspname::text
FROM pg_catalog.pg_namespace
WHERE starts_with(nspname::text, $1::text) AND nspname <> $2::text AND NOT starts_with(nspname::text, $3::text)
    AND NOT starts_with(nspname::text, 'pg_') AND nspname NOT IN ('public', 'information_schema')
ORDER BY nspname
