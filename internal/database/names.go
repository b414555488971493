package database

import (
	"path/filepath"
	"unicode/utf8"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/sqlite"
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

// BoundaryCheck returns a function that reports whether a tenant's boundary can be the one with that name: the template
// gives it. A path below another storage directory is one too if the tenant's file exists in this one, because the
// directory was moved.
func BoundaryCheck(c config.Config) (func(tenantID, boundary string) bool, error) {
	if c.OnPostgres() {
		names, err := BoundaryNames(c)
		return func(id, boundary string) bool { return boundary == names(id) }, err
	}
	names, err := sql.NewPathTemplate(c.PathTemplate)
	return func(id, boundary string) bool {
		return utf8.RuneCountInString(boundary) <= sql.MaxDatabasePath && pipeline.Storable(boundary) == boundary &&
			boundary == filepath.Clean(boundary) && sqlite.IsAt(boundary, c.SQLite().Root, names.Path(id))
	}, err
}
