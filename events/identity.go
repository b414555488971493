package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// outcomeNamespace is the UUIDv5 namespace of outcome ids. It must never change: a request that is
// redelivered after an upgrade must get the id it had before.
var outcomeNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("tenant-provisioner/outcome"))

// OutcomeID is the id of the one outcome event of the given type that a request can have at this replay:
// a UUIDv5 (RFC 9562) of its arguments. It is the Nats-Msg-Id too. [Decode] refuses control
// characters in source and id, so joining by newline is unambiguous.
//
// A message that cannot be decoded has no source and id: see [UndecodableOutcomeID].
func OutcomeID(source, id string, replay int, eventType string) string {
	name := strings.Join([]string{source, id, strconv.Itoa(replay), eventType}, "\n")
	return uuid.NewSHA1(outcomeNamespace, []byte(name)).String()
}

// RequestKey is the lower-case hex SHA-256 of source, newline, id: the key of a request in the ledger and
// the last token of its dead letter's subject. For a message that cannot be decoded see [UndecodableKey].
func RequestKey(source, id string) string {
	sum := sha256.Sum256([]byte(source + "\n" + id))
	return hex.EncodeToString(sum[:])
}

// undecodablePrefix begins what the keys and outcome ids of undecodable messages are made of. Those of requests
// are made of a text that begins with the source, and [Decode] refuses a source with a control character. So no
// publisher can choose a source and an id that lead to the key or to the outcome id of an undecodable message.
// It must never change, for the reason that outcomeNamespace must not.
const undecodablePrefix = "\x00undecodable\n"

// UndecodableKey is the key of a stored message that [Decode] refuses, and the last token of its dead letter's
// subject: a lower-case hex SHA-256, as [RequestKey] is. It is a function of the stored message, so a redelivery
// has the same key. Stored time and body are part of it because a stream that is deleted, restored or cut by a
// power failure uses its sequences again.
//
// Hashed are the prefix, then the length of the stream's name, the name, the sequence and the stored time (UTC,
// [time.RFC3339Nano]), a newline after each, then the body. The name has its length before it and the body
// comes last, so no two messages give the same text.
func UndecodableKey(stream string, sequence uint64, stored time.Time, body []byte) string {
	hash := sha256.New()
	hash.Write(fmt.Appendf(nil, "%s%d\n%s\n%d\n%s\n", undecodablePrefix, len(stream), stream, sequence,
		stored.UTC().Format(time.RFC3339Nano)))
	hash.Write(body) // never copied: it may have megabytes
	return hex.EncodeToString(hash.Sum(nil))
}

// UndecodableOutcomeID is the id of the tenant.provisioning_failed event of the undecodable message with that
// [UndecodableKey], at this replay. It is a UUIDv5 as [OutcomeID] is, and none of a request.
func UndecodableOutcomeID(key string, replay int) string {
	name := undecodablePrefix + strings.Join([]string{key, strconv.Itoa(replay), TypeProvisioningFailed}, "\n")
	return uuid.NewSHA1(outcomeNamespace, []byte(name)).String()
}

// DeadLetterSubject is where the dead letter with that [RequestKey] or [UndecodableKey] is kept.
func DeadLetterSubject(key string) string { return SubjectDeadLetterPrefix + key }
