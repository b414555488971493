-- Whether the table ?1 has the column ?2.
SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)
