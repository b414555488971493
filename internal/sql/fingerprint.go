package sql

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// fingerprintLength is 64 bits in hex: there are few definitions, and no attacker chooses them.
const fingerprintLength = 16

// Fingerprint identifies a definition of a tenant: the tables and indexes of this package and the engine's DDL. Any
// change to either changes it, even a change to a comment in the DDL.
func Fingerprint(ddl ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q\n%+v\n%+v", ddl, Tables, Indexes))
	return hex.EncodeToString(sum[:])[:fingerprintLength]
}
