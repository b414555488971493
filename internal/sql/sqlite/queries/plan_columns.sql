CAST(coalesce(plan, '') AS TEXT), CAST(coalesce(plan_max_bytes, 0) AS INTEGER), CAST(coalesce(plan_max_rows, 0) AS INTEGER)
