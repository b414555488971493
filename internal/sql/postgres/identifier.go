package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/jackc/pgx/v5"
)

// quote quotes identifiers and joins them with dots. No other function quotes identifiers.
func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal quotes a text for SQL that is displayed, and for statements that take no parameters.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// render replaces a placeholder of a .sql file with a quoted name: {registry}, {schema}, {relation}, {prepared} or
// {neighbour}.
func render(text, placeholder string, name ...string) string {
	return strings.ReplaceAll(text, "{"+placeholder+"}", quote(name...))
}

// lockKey returns the advisory lock key of a name: 64 bits of a hash with a prefix of our own.
func lockKey(kind, name string) int64 {
	sum := sha256.Sum256([]byte("tenant-provisioner\n" + kind + "\n" + name))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // any 64 bits are valid
}
