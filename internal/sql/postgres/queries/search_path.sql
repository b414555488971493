-- Sets where this transaction looks for names. $1 schemas, quoted
SELECT pg_catalog.set_config('search_path', $1::text, true)
