package sql

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// fingerprintLength is 64 bits in hex: definitions are few, and nobody chooses them to collide.
const fingerprintLength = 16

// Fingerprint tells one definition of a tenant from another: of the tables and indexes here, and of the
// engine's DDL. Whatever changes in either, a comment too, makes another.
func Fingerprint(ddl ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q\n%+v\n%+v", ddl, Tables, Indexes))
	return hex.EncodeToString(sum[:])[:fingerprintLength]
}
