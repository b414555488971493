-- $1 tenant, $2 names of scripts, $3 their hashes in hex, $4 time (UTC)
INSERT INTO {registry}.applied_scripts (tenant_id, name, sha256, applied_at)
SELECT $1::text, s.name, s.sha256, $4::text::timestamp
FROM unnest($2::text[], $3::text[]) AS s (name, sha256)
ON CONFLICT (tenant_id, name) DO UPDATE SET sha256 = excluded.sha256, applied_at = excluded.applied_at
