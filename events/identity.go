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

// outcomeNamespace is the UUIDv5 namespace of outcome ids. It must never change: a request that is redelivered after an
// upgrade must get the same id as before.
var outcomeNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("tenant-provisioner/outcome"))

// OutcomeID is the id of the one outcome of the given type that a request can have at this replay. It is a UUIDv5 (RFC
// 9562) of its arguments, and also the Nats-Msg-Id. [Decode] rejects control characters in source and id, so joining
// them with newlines is unambiguous.
//
// A message that cannot be decoded has no source and id: see [UndecodableOutcomeID].
func OutcomeID(source, id string, replay int, eventType string) string {
	name := strings.Join([]string{source, id, strconv.Itoa(replay), eventType}, "\n")
	return uuid.NewSHA1(outcomeNamespace, []byte(name)).String()
}

// RequestKey is the lower-case hex SHA-256 of source, newline, id. It is the key of a request in the ledger and the
// last token of the subject of its dead letter. For a message that cannot be decoded see [UndecodableKey].
func RequestKey(source, id string) string {
	sum := sha256.Sum256([]byte(source + "\n" + id))
	return hex.EncodeToString(sum[:])
}

// undecodablePrefix begins the text that is hashed for the key or outcome id of an undecodable message. The text of a
// request begins with its source, and [Decode] rejects a source with a control character. So no publisher can choose a
// source and id that lead to the key or outcome id of an undecodable message. It must never change, for the same reason
// as outcomeNamespace.
const undecodablePrefix = "\x00undecodable\n"

// UndecodableKey is the key of a stored message that [Decode] rejects, and the last token of the subject of its dead
// letter. It is a lower-case hex SHA-256, like [RequestKey]. It is a function of the stored message, so a redelivery
// has the same key. Stored time and body are part of it because a stream reuses its sequences after it is deleted,
// restored or truncated by a power failure.
//
// The hashed text is the prefix; then the length of the stream's name, the name, the sequence and the stored time (UTC,
// [time.RFC3339Nano]), each followed by a newline; then the body. The name is preceded by its length and the body is
// last, so no two messages have the same text.
func UndecodableKey(stream string, sequence uint64, stored time.Time, body []byte) string {
	hash := sha256.New()
	hash.Write(fmt.Appendf(nil, "%s%d\n%s\n%d\n%s\n", undecodablePrefix, len(stream), stream, sequence,
		stored.UTC().Format(time.RFC3339Nano)))
	hash.Write(body) // not copied: it may have megabytes
	return hex.EncodeToString(hash.Sum(nil))
}

// UndecodableOutcomeID is the id of the tenant.provisioning_failed event of the undecodable message with this
// [UndecodableKey], at this replay. It is a UUIDv5, like [OutcomeID], and never equals the outcome id of a request.
func UndecodableOutcomeID(key string, replay int) string {
	name := undecodablePrefix + strings.Join([]string{key, strconv.Itoa(replay), TypeProvisioningFailed}, "\n")
	return uuid.NewSHA1(outcomeNamespace, []byte(name)).String()
}

// DeadLetterSubject is the subject of the dead letter with this [RequestKey] or [UndecodableKey].
func DeadLetterSubject(key string) string { return SubjectDeadLetterPrefix + key }
