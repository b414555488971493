SELECT EXISTS (SELECT 1 FROM pragma_table_info('document') WHERE name = 'related_po')
