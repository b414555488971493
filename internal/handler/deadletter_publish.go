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

// deadLetterPrefix begins the headers that are added to a dead letter.
const deadLetterPrefix = "Dead-Letter-"

// omitted is set where a request is so large that it and its reasons exceed the server's max_payload, or what
// the stream takes. It is still in its stream, at Dead-Letter-Sequence.
const omitted = deadLetterPrefix + "Omitted"

// nonceHeader is a text by which this dead letter is known: when it is published again, by this or another replica,
// because its confirmation was lost, and when it is replayed. Only those know it who may read dead letters or the
// ledger.
const nonceHeader = deadLetterPrefix + "Nonce"

// replayHeader is the number of the replay that failed.
const replayHeader = deadLetterPrefix + "Replay"

// unreadableHeader is set where the original has headers that the client library cannot read, such as a line without a
// colon: it leaves out all of them.
const unreadableHeader = deadLetterPrefix + "Unreadable-Headers"

// maxHeaderText bounds the free text in a header, in bytes.
const maxHeaderText = 1024

// deadLetter is the original message with the reasons as headers, addressed.
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
		header.Set(jetstream.MsgIDHeader, ownID(header))
	}
	return &nats.Msg{Subject: failure.DeadLetter.Subject, Header: header, Data: d.msg.Data}, nil
}

// headerText makes untrusted text fit a header: printable ASCII stays, the rest is escaped as in Go.
func headerText(s string) string {
	quoted := strconv.QuoteToASCII(s)
	text := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if len(text) > maxHeaderText {
		text = text[:maxHeaderText] + "..."
	}
	return text
}

// readHeaderText is what headerText was given, or what it made of it where that was cut in the middle of an escape.
func readHeaderText(text string) string {
	if s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`); err == nil {
		return s
	}
	return text
}

// nonce is made of the outcome and of the name that the ledger has of the delivery that decided it, which is random. So
// all replicas make the same, and no publisher can.
func nonce(o pipeline.Outcome) string {
	if o.DeliveryID == "" { // decided by an earlier version
		return rand.Text()
	}
	sum := sha256.Sum256([]byte(o.ID + "\n" + o.DeliveryID))
	return hex.EncodeToString(sum[:16])
}

// ownID is the Nats-Msg-Id of a dead letter whose original has none, or one that is taken.
func ownID(letter nats.Header) string { return "dead-letter." + letter.Get(nonceHeader) }

// errConfirmed says that the stream has had the dead letter before: it is there, or was removed.
var errConfirmed = errors.New("the dead letter is confirmed")

// publishDeadLetter publishes the dead letter of a failure, as long as the ledger has that failure, and waits until the
// stream has it. It returns [errSuperseded] where the ledger has something else.
//
// A replica may be frozen or cut off at any moment. So that it neither replaces a newer dead letter nor brings back
// what an operator has removed, each try is made against the last sequence of the subject, read before the ledger.
// That is 0 again once a dead letter was removed: there the Nats-Msg-Id decides, which is the same for all replicas,
// so that the server drops the second copy within the duplicate window of the stream.
//
// A dead letter that is refused as it is, is published in a smaller form. Where all forms are refused the request
// goes on without one, which the log says: nothing can hold a worker for ever.
func (h *Handler) publishDeadLetter(ctx context.Context, d delivery, key string, r pipeline.Decision) error {
	full, err := deadLetter(d, r.Outcome)
	if err != nil {
		return err
	}
	again := isLaterReplay(d, r, full)
	if r.Outcome.DeadLetterConfirmed && !again {
		return nil
	}
	for _, form := range deadLetterForms(full) {
		err = h.publishForm(ctx, form, key, r, again)
		if !isRefusal(err) {
			break
		}
		h.Log.WarnContext(ctx, "NATS rejected dead letter; publishing a smaller form", "key", key, "error", err)
	}
	switch {
	case errors.Is(err, errConfirmed):
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
	h.Provisioner.DeadLetterConfirmed(ctx, key, r.Outcome, d.name)
	crash.Point("burial noted", "")
	return nil
}

// isLaterReplay reports whether the message is a replay whose number is the ledger's, and was decided by another
// message: an operator has replayed a dead letter that was older than the ledger, and removed it for that. There must
// be one again.
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

// deadLetterForms are a dead letter as it should be, and what to publish instead where it is refused: without the
// original, and at last with no more than names it, of which nothing is free text.
func deadLetterForms(full *nats.Msg) []*nats.Msg {
	reasons, least := nats.Header{}, nats.Header{}
	for name, values := range full.Header {
		if reason, ok := strings.CutPrefix(name, deadLetterPrefix); ok && !hasPrefixFold(name, keptPrefix) {
			reasons[name] = values
			if reason != "Message" && reason != "Tenant" {
				least[name] = values
			}
		}
	}
	reasons[omitted] = []string{"the original is too large; it is in Dead-Letter-Stream at Dead-Letter-Sequence"}
	least[omitted] = []string{"yes"}
	for _, header := range []nats.Header{reasons, least} {
		header[hashHeader] = []string{bodyHash(full.Data)}
		header.Set(jetstream.MsgIDHeader, ownID(header))
	}
	return []*nats.Msg{full, {Subject: full.Subject, Header: reasons}, {Subject: full.Subject, Header: least}}
}

// conflictBackoff is the pause before a dead letter is published again because another one of its subject came first.
func (h *Handler) conflictBackoff() Backoff {
	return Backoff{Min: 2 * time.Millisecond, Max: 200 * time.Millisecond, Random: h.serverBackoff.Random}
}

// manyConflicts is after how many in a row the service is not ready and logs why: some seconds.
const manyConflicts = 30

// publishForm publishes one form of a dead letter and waits until the stream has it. again: also where the ledger has
// it as confirmed, unless there is one of that replay.
func (h *Handler) publishForm(
	ctx context.Context, letter *nats.Msg, key string, r pipeline.Decision, again bool,
) error {
	var err error
	var since *uint64 // the last sequence of the stream before the first try
	own := ownID(letter.Header)
	allowed := func(ctx context.Context) ([]jetstream.PublishOpt, error) {
		if since == nil && letter.Header.Get(jetstream.MsgIDHeader) != own {
			stream, err := h.JetStream.Stream(ctx, events.StreamDeadLetters)
			if err != nil {
				return nil, err
			}
			since = &stream.CachedInfo().State.LastSeq
		}
		last, err := h.storedDeadLetter(ctx, StoredMessage{LastFor: letter.Subject})
		if err != nil {
			return nil, err
		}
		now, err := h.recorded(ctx, key, r)
		switch {
		case err != nil:
		case now.DeadLetterConfirmed && !again, same(last, letter, nonceHeader), again && same(last, letter, replayHeader):
			err = errConfirmed
		}
		crash.Point("dead letter allowed", "")
		return []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(last.Sequence)}, err
	}
	for conflicts := 0; ; {
		var ack *jetstream.PubAck
		ack, err = h.publish(ctx, letter, events.StreamDeadLetters, allowed)
		switch {
		case isWrongSequence(err):
			if conflicts++; conflicts >= manyConflicts {
				h.deadLetters.failing(err)
			}
			if sleep(ctx, h.conflictBackoff().Delay(conflicts)) != nil {
				return err
			}
			continue
		case err != nil || !ack.Duplicate:
			return err
		}
		// The stream knows the Nats-Msg-Id. If it is our own, this very dead letter was stored before, and perhaps removed
		// since. If it is the original's, its publisher may have used it twice.
		if letter.Header.Get(jetstream.MsgIDHeader) == own {
			return errConfirmed
		}
		there, err := h.storedDeadLetter(ctx, StoredMessage{Sequence: ack.Sequence})
		if err != nil {
			return err
		}
		if same(there, letter, nonceHeader) || there.Sequence == 0 && ack.Sequence > *since {
			return errConfirmed // stored by a try before this one, and perhaps removed since
		}
		for _, id := range letter.Header[jetstream.MsgIDHeader] {
			letter.Header.Add(keptPrefix+jetstream.MsgIDHeader, escapeValue(id))
		}
		letter.Header.Set(jetstream.MsgIDHeader, own)
	}
}

// storedDeadLetter reads a message of the stream of dead letters. Its sequence is 0 if it is not there.
func (h *Handler) storedDeadLetter(ctx context.Context, which StoredMessage) (*jetstream.RawStreamMsg, error) {
	found, err := GetMessage(ctx, h.JetStream, events.StreamDeadLetters, which)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &jetstream.RawStreamMsg{}, nil
	}
	return found, err
}

// same reports whether a stored message is a dead letter on that subject with the same value of the header.
func same(stored *jetstream.RawStreamMsg, letter *nats.Msg, header string) bool {
	return stored.Subject == letter.Subject && stored.Header.Get(header) == letter.Header.Get(header)
}
