coalesce(definition, '')
