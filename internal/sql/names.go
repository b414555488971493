package sql

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"example.com/tenant-provisioner/events"
)

// BootstrapTenant is the id of the system's own tenant, whose boundary holds the registry.
const BootstrapTenant = "_docex_system_"

// Placeholder is replaced by the tenant's id in a name template.
const Placeholder = "{tenant_id}"

// Limits of names.
const (
	maxSchemaName    = 63  // bytes; PostgreSQL truncates longer identifiers with only a NOTICE
	maxPathComponent = 255 // bytes; NAME_MAX
	MaxDatabasePath  = 500 // characters; the width of the registry's column
)

// SchemaTemplate names the PostgreSQL schema of a tenant.
type SchemaTemplate struct{ template string }

// NewSchemaTemplate checks a template. It must contain {tenant_id}. No id may make it produce public,
// information_schema, a name that begins with pg_, or the registry's schema.
func NewSchemaTemplate(template, registrySchema string) (SchemaTemplate, error) {
	if err := checkTemplate(template); err != nil {
		return SchemaTemplate{}, err
	}
	if len(template)-len(Placeholder) > maxSchemaName-hashLength-1-1 {
		return SchemaTemplate{}, fmt.Errorf("%q is too long: a schema name has at most %d bytes", template, maxSchemaName)
	}
	// The check ignores case: quoted names keep it, but people overlook it.
	prefix, rest, _ := strings.Cut(strings.ToLower(template), Placeholder)
	const reserved = "pg_"
	if strings.HasPrefix(prefix, reserved) || strings.HasPrefix(reserved, prefix) {
		return SchemaTemplate{}, fmt.Errorf("%q can give a name that begins with pg_, which PostgreSQL reserves; "+
			"begin it with something else, such as tenant_", template)
	}
	for _, taken := range []string{"public", "information_schema", registrySchema} {
		if canGive(prefix, rest, strings.ToLower(taken)) {
			return SchemaTemplate{}, fmt.Errorf("%q can give the name %s, which is taken; "+
				"change it, or REGISTRY_SCHEMA", template, taken)
		}
	}
	return SchemaTemplate{template}, nil
}

// canGive reports whether some id makes prefix + id + rest equal to name. It ignores further placeholders in rest: the
// result may be a false positive, never a false negative.
func canGive(prefix, rest, name string) bool {
	suffix := rest[strings.LastIndex(rest, "}")+1:]
	return len(name) > len(prefix)+len(suffix) && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
}

// Name returns the tenant's schema, of at most 63 bytes. A longer name is truncated and ends in a hash of the full id.
func (t SchemaTemplate) Name(id string) string {
	return shorten(strings.ReplaceAll(t.template, Placeholder, id), "", id, maxSchemaName)
}

// Affixes returns what every name begins with, and what it ends in unless it is truncated.
func (t SchemaTemplate) Affixes() (prefix, suffix string) {
	prefix, rest, _ := strings.Cut(t.template, Placeholder)
	if last := strings.LastIndex(rest, Placeholder); last >= 0 {
		rest = rest[last+len(Placeholder):]
	}
	return prefix, rest
}

// Gives reports whether some tenant's schema has that name. Of a truncated name, only beginning and form are checked.
func (t SchemaTemplate) Gives(name string) bool { return gives(t.template, "", name, maxSchemaName) }

// PreparedPrefix begins the names of prepared boundaries. Ids contain no colon, so a template without one can never
// produce such a name.
const PreparedPrefix = "prepared:"

// PreparedName returns the schema name of a prepared boundary. random has at least 128 random bits in base 32, as
// returned by [crypto/rand.Text], so replicas need not coordinate.
func PreparedName(random string) string { return PreparedPrefix + strings.ToLower(random) }

// Preparable reports whether no id can make the template produce the name of a prepared boundary.
func (t SchemaTemplate) Preparable() bool { return !strings.Contains(t.template, ":") }

// PathTemplate names the SQLite file of a tenant, relative to the storage root.
type PathTemplate struct{ template string }

// NewPathTemplate checks a template: a relative path, separated by /, that contains {tenant_id} and stays below the
// root.
func NewPathTemplate(template string) (PathTemplate, error) {
	if err := checkTemplate(template); err != nil {
		return PathTemplate{}, err
	}
	if path.IsAbs(template) || path.Clean(template) != template || strings.HasPrefix(template, "..") ||
		strings.HasPrefix(path.Base(template), ".") || // prefix of files under construction
		strings.ContainsAny(template, "\\?#%") {
		return PathTemplate{}, fmt.Errorf("%q must be a plain relative path, such as tenant_{tenant_id}/docex.db", template)
	}
	// SQLite keeps files next to a database, named after it with the suffixes -journal, -wal and -shm. A name that ends
	// in the id could be such a file of another tenant.
	file := path.Base(template)
	if end := file[strings.LastIndex(file, "}")+1:]; strings.Contains(file, Placeholder) && !strings.Contains(end, ".") {
		return PathTemplate{}, fmt.Errorf("%q must end in an extension, such as %s.db", template, Placeholder)
	}
	for part := range strings.SplitSeq(template, "/") {
		if len(part)-len(Placeholder) > maxPathComponent-hashLength-1-1 {
			return PathTemplate{}, fmt.Errorf("%q is too long: a file name has at most %d bytes", template, maxPathComponent)
		}
	}
	return PathTemplate{template}, nil
}

// Path returns the tenant's file, relative to the storage root, separated by /. A component over 255 bytes is truncated
// like a schema name, but keeps its extension.
func (t PathTemplate) Path(id string) string {
	parts := t.Parts()
	for i, part := range parts {
		stem, extension := splitExtension(part)
		parts[i] = shorten(strings.ReplaceAll(stem, Placeholder, id), extension, id, maxPathComponent)
	}
	return strings.Join(parts, "/")
}

// Parts returns the template of each component of the path.
func (t PathTemplate) Parts() []string { return strings.Split(t.template, "/") }

// PartGives reports whether some tenant's path has a component with that name, by the component's template. Of a
// truncated name, only beginning and form are checked.
func PartGives(template, name string) bool {
	if !strings.Contains(template, Placeholder) {
		return name == template
	}
	stem, extension := splitExtension(template)
	return gives(stem, extension, name, maxPathComponent)
}

// splitExtension separates the extension of a path component's template, which a truncated name keeps.
func splitExtension(part string) (stem, extension string) {
	extension = path.Ext(part)
	if strings.Contains(extension, Placeholder) {
		extension = ""
	}
	return strings.TrimSuffix(part, extension), extension
}

// gives reports whether shorten makes the name of template and extension, for some valid id.
func gives(template, extension, name string, limit int) bool {
	prefix, _, _ := strings.Cut(template, Placeholder)
	if !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, extension) || len(name) > limit {
		return false
	}
	head, isHashed := cutHash(strings.TrimSuffix(name, extension))
	if isHashed && len(head) > len(prefix) && len(name) > limit-utf8.UTFMax {
		return true
	}
	times := strings.Count(template, Placeholder)
	length := (len(name) - len(extension) - len(template) + times*len(Placeholder)) / times
	end := len(prefix) + length
	if length <= 0 || end > len(name) {
		return false
	}
	id := name[len(prefix):end]
	return strings.ReplaceAll(template, Placeholder, id)+extension == name && events.ValidateTenantID(id) == nil
}

// cutHash removes what shorten appends to a truncated name.
func cutHash(name string) (head string, found bool) {
	cut := len(name) - hashLength - 1
	if cut < 0 || name[cut] != '_' || strings.Trim(name[cut+1:], "0123456789abcdef") != "" {
		return "", false
	}
	return name[:cut], true
}

func checkTemplate(template string) error {
	switch {
	case !strings.Contains(template, Placeholder):
		return fmt.Errorf("%q must contain %s, or all tenants would share one boundary", template, Placeholder)
	case !utf8.ValidString(template) || strings.ContainsFunc(template, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%q contains control characters or invalid UTF-8", template)
	}
	return nil
}

// hashLength is 64 bits in hex: a collision of two truncated names is expected only from about 2^32 tenants on, and the
// registry then rejects the second one.
const hashLength = 16

// shorten truncates name to the limit so that it ends, before the extension, in a hash of the id. It hashes the id in
// lower case, so that ids that differ only in case have names that differ only in case and share one lock.
func shorten(name, extension, id string, limit int) string {
	if len(name)+len(extension) <= limit {
		return name + extension
	}
	sum := sha256.Sum256([]byte(strings.ToLower(id)))
	cut := limit - len(extension) - hashLength - 1
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "_" + hex.EncodeToString(sum[:])[:hashLength] + extension
}
