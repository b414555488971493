package database

import (
	"path/filepath"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/sql"
)

// BoundaryNames returns a function that returns the name of a tenant's boundary by the configured template: a schema,
// or the path of a file.
func BoundaryNames(c config.Config) (func(tenantID string) string, error) {
	if c.OnPostgres() {
		names, err := sql.NewSchemaTemplate(c.SchemaTemplate, c.RegistrySchema)
		return names.Name, err
	}
	names, err := sql.NewPathTemplate(c.PathTemplate)
	root := filepath.Clean(c.SQLite().Root)
	return func(id string) string { return filepath.Join(root, filepath.FromSlash(names.Path(id))) }, err
}
