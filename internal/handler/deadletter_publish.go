package handler

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// deadLetterPrefix is the prefix of the headers that are added to a dead letter.
const deadLetterPrefix = "Dead-Letter-"

// omittedHeader is set if the request together with its reasons exceeds the server's max_payload or the stream's limit.
// The original is still in its stream, at Dead-Letter-Sequence.
const omittedHeader = deadLetterPrefix + "Omitted"

// nonceHeader identifies this dead letter: when this or another replica publishes it again because the confirmation was
// lost, and when it is replayed. Only clients that may read dead letters or the ledger know it.
const nonceHeader = deadLetterPrefix + "Nonce"

// replayHeader is the number of the replay that failed.
const replayHeader = deadLetterPrefix + "Replay"

// unreadableHeader is set if the client library cannot parse the original's headers, for example because a line has no
// colon: it then drops all of them.
const unreadableHeader = deadLetterPrefix + "Unreadable-Headers"

// maxHeaderText is the maximum length of free text in a header, in bytes.
const maxHeaderText = 1024

// deadLetter returns the message to publish: the original with the reasons as headers, on the dead letter's subject.
func deadLetter(d delivery, o pipeline.Outcome) (*nats.Msg, error) {
	e, err := events.Decode(outcomeHeader(o), o.Body)
	if err != nil {
		return nil, fmt.Errorf("read the recorded outcome: %w", err)
	}
	failure, err := events.FailedFrom(e)
	if err != nil {
		return nil, fmt.Errorf("read the recorded outcome: %w", err)
	}
	header := keepHeader(d.msg.Header, d.replay > 0)
	for name, value := range map[string]string{
		"Key":      strings.TrimPrefix(failure.DeadLetter.Subject, events.SubjectDeadLetterPrefix),
		"Reason":   string(failure.Cause.Code),
		"Step":     failure.Step.Name,
		"Message":  headerText(failure.Cause.Message),
		"Attempts": strconv.Itoa(failure.Attempts),
		"Replay":   strconv.Itoa(failure.Replay),
		"Stream":   d.stream,
		"Sequence": strconv.FormatUint(d.sequence, 10),
		"Subject":  d.msg.Subject,
		"Stored":   storedText(d.stored),
		"Time":     e.Time().UTC().Format(time.RFC3339Nano),
		"Tenant":   headerText(failure.TenantID),
	} {
		header[deadLetterPrefix+name] = []string{value}
	}
	header.Set(nonceHeader, nonce(o))
	if d.unreadable {
		header.Set(unreadableHeader, "they are in Dead-Letter-Stream at Dead-Letter-Sequence")
	}
	if header.Get(jetstream.MsgIDHeader) == "" {
		header.Set(jetstream.MsgIDHeader, ownMsgID(header))
	}
	return &nats.Msg{Subject: failure.DeadLetter.Subject, Header: header, Data: d.msg.Data}, nil
}

// headerText makes untrusted text fit a header: printable ASCII is kept, the rest is escaped as in Go.
func headerText(s string) string {
	quoted := strconv.QuoteToASCII(s)
	text := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if len(text) > maxHeaderText {
		text = text[:maxHeaderText] + "..."
	}
	return text
}

// readHeaderText undoes headerText. It returns the text as it is if it was truncated within an escape.
func readHeaderText(text string) string {
	if s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`); err == nil {
		return s
	}
	return text
}

// nonce hashes the outcome's id and the DeliveryID that the ledger stores for it, which is random. So all replicas
// compute the same nonce, and no publisher can.
func nonce(o pipeline.Outcome) string {
	if o.DeliveryID == "" { // decided by an earlier version
		return rand.Text()
	}
	sum := sha256.Sum256([]byte(o.ID + "\n" + o.DeliveryID))
	return hex.EncodeToString(sum[:16])
}

// ownMsgID is the Nats-Msg-Id of a dead letter whose original has none, or has one that another message uses.
func ownMsgID(letter nats.Header) string { return "dead-letter." + letter.Get(nonceHeader) }

// useOwnMsgID gives a dead letter its own Nats-Msg-Id, and keeps that of its original under another name.
func useOwnMsgID(letter nats.Header) {
	for _, id := range letter[jetstream.MsgIDHeader] {
		letter.Add(keptPrefix+jetstream.MsgIDHeader, escapeValue(id))
	}
	letter.Set(jetstream.MsgIDHeader, ownMsgID(letter))
}

// errStored means that the stream has already stored the message, which may have been removed since.
var errStored = errors.New("the stream has stored the message before")

// errConfirmed is an errStored of a dead letter that the ledger has as confirmed in the stream that exists now.
var errConfirmed = fmt.Errorf("%w, as the ledger has it", errStored)

// publishDeadLetter publishes the dead letter of a failure and waits for its confirmation, as long as the ledger still
// has that failure. Otherwise it returns [errSuperseded].
//
// A replica may be frozen or cut off at any moment. It must not replace a newer dead letter, or restore one that an
// operator has removed. So each try is conditional on the last sequence of the subject, read before the ledger. That
// sequence is 0 again after a removal. Then the Nats-Msg-Id decides: it is the same for all replicas, so the server
// drops the second copy within the duplicate window of the stream.
//
// A confirmation counts for the stream that has stored the dead letter. If that stream was deleted, or replaced by
// another one, its dead letters are lost, and are published again when their requests are redelivered.
//
// A rejected dead letter is published in a smaller form. If every form is rejected, the request continues without one
// and an error is logged: no message may block a worker for ever.
func (h *Handler) publishDeadLetter(ctx context.Context, d delivery, key string, r pipeline.Decision) error {
	complete, err := deadLetter(d, r.Outcome)
	if err != nil {
		return err
	}
	force := isLaterReplay(d, r, complete)
	var stream string
	for _, form := range deadLetterForms(complete) {
		stream, err = h.publishForm(ctx, form, key, r, force)
		if !isRefusal(err) {
			break
		}
		h.Log.WarnContext(ctx, "NATS rejected dead letter; publishing a smaller form", "key", key, "error", err)
	}
	switch {
	case errors.Is(err, errConfirmed):
		return nil
	case isRefusal(err):
		h.Log.ErrorContext(ctx, "request failed without a dead letter: its stream rejects every form of it; "+
			"the original is in the stream of requests", "key", key, "sequence", d.sequence, "error", err)
		h.OnDeadLetterRefused()
		h.deadLetters.succeeded()
		return nil
	case err != nil:
		return err
	}
	crash.Point("dead letter published", "")
	h.Provisioner.DeadLetterConfirmed(ctx, key, r.Outcome, d.name, stream)
	crash.Point("dead letter noted", "")
	return nil
}

// isConfirmedIn reports whether the ledger has the dead letter as confirmed in the stream that was created at the time.
// What an earlier version confirmed was in the stream that existed when the ledger recorded the failure.
func isConfirmedIn(o pipeline.Outcome, created time.Time) bool {
	switch {
	case !o.DeadLetterConfirmed:
		return false
	case o.DeadLetterStream == "":
		return !created.After(o.RecordedAt)
	}
	return o.DeadLetterStream == storedText(created)
}

// isLaterReplay reports whether the message is a replay with the ledger's number that another message decided. In that
// case an operator replayed a dead letter older than the ledger's state, which removed it, so it must be published
// again.
func isLaterReplay(d delivery, r pipeline.Decision, letter *nats.Msg) bool {
	decidedBy, named := messageOf(r.Outcome.DeliveryID)
	if letter.Header.Get(replayHeader) != strconv.Itoa(d.replay) || d.replay == 0 {
		return false
	}
	if !named { // decided by an earlier version: by this message only if it was delivered before
		return d.deliveries == 1
	}
	return decidedBy != d.message()
}

// deadLetterForms are the forms of a dead letter, to be tried in this order: complete; without the original; and with
// only the headers that identify it, none of which is free text.
func deadLetterForms(complete *nats.Msg) []*nats.Msg {
	reasons, least := nats.Header{}, nats.Header{}
	for name, values := range complete.Header {
		if reason, ok := strings.CutPrefix(name, deadLetterPrefix); ok && !hasPrefixFold(name, keptPrefix) {
			reasons[name] = values
			if reason != "Message" && reason != "Tenant" {
				least[name] = values
			}
		}
	}
	reasons[omittedHeader] = []string{"the original is too large; it is in Dead-Letter-Stream at Dead-Letter-Sequence"}
	least[omittedHeader] = []string{"yes"}
	for _, header := range []nats.Header{reasons, least} {
		header[hashHeader] = []string{bodyHash(complete.Data)}
		header.Set(jetstream.MsgIDHeader, ownMsgID(header))
	}
	return []*nats.Msg{complete, {Subject: complete.Subject, Header: reasons}, {Subject: complete.Subject, Header: least}}
}

// conflictBackoff is the delay before a dead letter is published again after another message on its subject was stored
// first.
func (h *Handler) conflictBackoff() Backoff {
	return Backoff{Min: 2 * time.Millisecond, Max: 200 * time.Millisecond, Random: h.serverBackoff.Random}
}

// manyConflicts is the number of consecutive conflicts after which the service is not ready and logs the reason. They
// take some seconds.
const manyConflicts = 30

// publishForm publishes one form of a dead letter and waits for its confirmation. It returns the creation time of the
// stream that has stored it; see [pipeline.Outcome]. With force it also publishes a dead letter that the ledger has as
// confirmed, unless the stream holds one of that replay.
func (h *Handler) publishForm(
	ctx context.Context, letter *nats.Msg, key string, r pipeline.Decision, force bool,
) (confirmedIn string, _ error) {
	var created time.Time // of the stream, before the last try
	var since uint64      // its last sequence before the first try
	ownID := ownMsgID(letter.Header)
	allowed := func(ctx context.Context) ([]jetstream.PublishOpt, error) {
		stream, err := h.JetStream.Stream(ctx, events.StreamDeadLetters)
		if err != nil {
			return nil, err
		}
		if info := stream.CachedInfo(); !created.Equal(info.Created) {
			created, since = info.Created, info.State.LastSeq
		}
		last, err := h.storedDeadLetter(ctx, StoredMessage{LastFor: letter.Subject})
		if err != nil {
			return nil, err
		}
		current, err := h.recorded(ctx, key, r)
		switch {
		case err != nil:
		case isConfirmedIn(current, created) && !force:
			err = errConfirmed
		case same(last, letter, nonceHeader), isEarlier(last, letter), force && same(last, letter, replayHeader):
			err = errStored
		}
		crash.Point("dead letter allowed", "")
		return []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(last.Sequence)}, err
	}
	for conflicts := 0; ; {
		ack, err := h.publish(ctx, letter, events.StreamDeadLetters, allowed)
		switch {
		case isWrongSequence(err):
			if conflicts++; conflicts >= manyConflicts {
				h.deadLetters.failing(err)
			}
			if sleep(ctx, h.conflictBackoff().Delay(conflicts)) != nil {
				return "", err
			}
			continue
		case errors.Is(err, errConfirmed), err != nil && !errors.Is(err, errStored):
			return "", err
		case err == nil && ack.Duplicate:
			stored, err := h.isDuplicate(ctx, ack, letter, ownID, since)
			if err != nil {
				return "", err
			}
			if !stored {
				useOwnMsgID(letter.Header)
				continue
			}
		}
		// The stream may have been deleted and created again since it was read. Then either of the two has the dead letter,
		// and the next try finds out.
		stream, err := h.JetStream.Stream(ctx, events.StreamDeadLetters)
		if err == nil && stream.CachedInfo().Created.Equal(created) {
			return storedText(created), nil
		}
		conflicts++
		if sleep(ctx, h.conflictBackoff().Delay(conflicts)) != nil {
			return "", context.Cause(ctx)
		}
	}
}

// isDuplicate reports whether a dead letter that the stream dropped as a duplicate is stored, by an earlier try or by
// another replica. It may have been removed since. Otherwise another message has its Nats-Msg-Id: that of the original,
// which its publisher may have used twice. since is the last sequence of the stream before the first try.
func (h *Handler) isDuplicate(
	ctx context.Context, ack *jetstream.PubAck, letter *nats.Msg, ownID string, since uint64,
) (bool, error) {
	if letter.Header.Get(jetstream.MsgIDHeader) == ownID {
		return true, nil
	}
	there, err := h.storedDeadLetter(ctx, StoredMessage{Sequence: ack.Sequence})
	if err != nil {
		return false, err
	}
	return same(there, letter, nonceHeader) || there.Sequence == 0 && ack.Sequence > since, nil
}

// storedDeadLetter reads a message of the stream of dead letters. A missing message is returned with sequence 0.
func (h *Handler) storedDeadLetter(ctx context.Context, which StoredMessage) (*jetstream.RawStreamMsg, error) {
	found, err := GetMessage(ctx, h.JetStream, events.StreamDeadLetters, which)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &jetstream.RawStreamMsg{}, nil
	}
	return found, err
}

// same reports whether a stored message is on the dead letter's subject and has the same value of the header.
func same(stored *jetstream.RawStreamMsg, letter *nats.Msg, header string) bool {
	return stored.Subject == letter.Subject && stored.Header.Get(header) == letter.Header.Get(header)
}
