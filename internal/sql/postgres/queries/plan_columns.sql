coalesce(plan, ''), coalesce(plan_max_bytes, 0), coalesce(plan_max_rows, 0)
