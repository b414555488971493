ALTER SCHEMA {prepared} RENAME TO {schema}
