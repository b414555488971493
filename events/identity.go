package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// outcomeNamespace is the UUIDv5 namespace of outcome ids. It must never change: a request that is
// redelivered after an upgrade must get the id it had before.
var outcomeNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("tenant-provisioner/outcome"))

// OutcomeID is the id of the one outcome event of the given type that a request can have at this replay:
// a UUIDv5 (RFC 9562) of its arguments. It is the Nats-Msg-Id too. [Decode] refuses control
// characters in source and id, so joining by newline is unambiguous.
//
// A message that could not be decoded has no source and id; there the stream's name and the message's
// sequence in decimal stand for them.
func OutcomeID(source, id string, replay int, eventType string) string {
	name := strings.Join([]string{source, id, strconv.Itoa(replay), eventType}, "\n")
	return uuid.NewSHA1(outcomeNamespace, []byte(name)).String()
}

// RequestKey is the lower-case hex SHA-256 of source, newline, id: the key of a request in the ledger and
// the last token of its dead letter's subject. Undecodable messages: see [OutcomeID].
func RequestKey(source, id string) string {
	sum := sha256.Sum256([]byte(source + "\n" + id))
	return hex.EncodeToString(sum[:])
}

// DeadLetterSubject is where the dead letter with that [RequestKey] is kept.
func DeadLetterSubject(key string) string { return SubjectDeadLetterPrefix + key }
