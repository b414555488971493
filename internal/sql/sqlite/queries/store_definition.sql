-- ?1 fingerprint, ?2 structure in JSON, ?3 time (UTC)
INSERT INTO definitions (fingerprint, structure, stored_at)
VALUES (?1, ?2, ?3)
ON CONFLICT (fingerprint) DO UPDATE SET structure = excluded.structure, stored_at = excluded.stored_at
