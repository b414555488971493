package sql

import "strings"

// Unregistered is a tenant that was provisioned, and announced, and that is not in the registry. Another program has
// removed its row, or an operator has.
type Unregistered struct {
	TenantID string
	Boundary string // schema or file
	Exists   bool   // the boundary
	// Register is the SQL that registers the tenant again, as the outcome in the ledger says. It is one line. On SQLite it
	// writes times with six digits of a second, as the service does; the outcome leaves zeros at the end out.
	Register string
}

// RegisterSQL makes one line of the text of register_again.sql, for the request with that key: hexadecimal digits.
func RegisterSQL(text, key string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "{key}", "'"+key+"'")
}
