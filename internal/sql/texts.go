package sql

import (
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"unicode"
)

// LoadQueries reads queries/*.sql into a struct of strings: the field FindTenant holds find_tenant.sql. names replaces
// the placeholders in the texts.
func LoadQueries(files fs.FS, names *strings.Replacer, into any) error {
	return loadTexts(files, names, into, func(_ int, field string) string { return "queries/" + field + ".sql" })
}

// LoadMigrations reads migrations/*.sql into a struct of strings, in the order of its fields: the second field,
// Bootstrap, holds 00002_bootstrap.sql.
func LoadMigrations(files fs.FS, names *strings.Replacer, into any) error {
	return loadTexts(files, names, into, func(i int, field string) string {
		return fmt.Sprintf("migrations/%05d_%s.sql", i+1, field)
	})
}

// loadTexts fails if a field has no file, or a file no field.
func loadTexts(files fs.FS, names *strings.Replacer, into any, fileOf func(i int, field string) string) error {
	texts := reflect.ValueOf(into).Elem()
	for i := range texts.NumField() {
		text, err := fs.ReadFile(files, fileOf(i, snakeCase(texts.Type().Field(i).Name)))
		if err != nil {
			return err
		}
		texts.Field(i).SetString(names.Replace(string(text)))
	}
	directory := path.Dir(fileOf(0, "any"))
	found, err := fs.Glob(files, directory+"/*.sql")
	if err == nil && len(found) != texts.NumField() {
		err = fmt.Errorf("%s has %d files for %d fields of %s", directory, len(found), texts.NumField(), texts.Type())
	}
	return err
}

// snakeCase converts a field's name: FindTenant is find_tenant.
func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
