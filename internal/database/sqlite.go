package database

import "example.com/tenant-provisioner/internal/sql/sqlite"

var (
	_ Store      = (*sqlite.Store)(nil)
	_ Reader     = (*sqlite.Reader)(nil)
	_ FileReader = (*sqlite.Reader)(nil)
	_ Copier     = (*sqlite.Reader)(nil)
)
