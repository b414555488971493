CAST(coalesce(definition, '') AS TEXT)
