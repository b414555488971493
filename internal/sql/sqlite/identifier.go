package sqlite

import "strings"

// quote quotes an identifier. No other function quotes identifiers.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
