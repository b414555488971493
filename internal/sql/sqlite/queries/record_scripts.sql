-- $1 tenant, $2 JSON array of scripts {name, sha256}, $3 time (UTC)
INSERT INTO applied_scripts (tenant_id, name, sha256, applied_at)
SELECT $1, s.value->>'name', s.value->>'sha256', $3
FROM json_each($2) AS s
WHERE true
ON CONFLICT (tenant_id, name) DO UPDATE SET sha256 = excluded.sha256, applied_at = excluded.applied_at
