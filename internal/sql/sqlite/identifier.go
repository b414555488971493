package sqlite

import "strings"

// quote quotes an identifier. It is the only place that does.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
