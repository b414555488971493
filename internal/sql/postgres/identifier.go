package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/jackc/pgx/v5"
)

// quote quotes identifiers, joined by dots. It is the only place that does.
func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal quotes a text, for SQL that is shown, and for what takes no parameters.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// render fills the placeholders of a .sql file: {registry}, {schema} and {relation} stand for quoted names.
func render(text, placeholder string, name ...string) string {
	return strings.ReplaceAll(text, "{"+placeholder+"}", quote(name...))
}

// lockKey is the advisory lock of a name: 64 bits of its hash, in a space of our own.
func lockKey(kind, name string) int64 {
	sum := sha256.Sum256([]byte("tenant-provisioner\n" + kind + "\n" + name))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // any 64 bits will do
}
