package handler

import (
	"context"
	"crypto/rand"
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

// nonceHeader is a random text by which this dead letter is known: when it is published again because its
// confirmation was lost, and when it is replayed. Only those know it who may read dead letters.
const nonceHeader = deadLetterPrefix + "Nonce"

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
	header := keepHeader(d.msg.Header)
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
	header.Set(nonceHeader, rand.Text())
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

// errConfirmed says that the stream has had the dead letter before: it is there, or was removed.
var errConfirmed = errors.New("the dead letter is confirmed")

// publishDeadLetter publishes the dead letter of a failure, as long as the ledger has that failure, and waits until the
// stream has it. It returns [errSuperseded] where the ledger has something else.
//
// Each try is made against the last sequence of the stream, read before the ledger: whatever was done with the
// dead letter since is found by reading again. The last sequence of its subject would not do, because it is 0
// again once a dead letter has been removed. So a replica that was frozen or cut off at any moment neither brings
// back what an operator has removed, nor replaces a newer one.
//
// A dead letter that is refused as it is, is published in a smaller form. Where all forms are refused the request
// goes on without one, which the log says: nothing can hold a worker for ever.
func (h *Handler) publishDeadLetter(ctx context.Context, d delivery, key string, r pipeline.Result) error {
	full, err := deadLetter(d, r.Outcome)
	if err != nil {
		return err
	}
	// One at a time in this process: two would find the stream changed by the other.
	select {
	case h.deadLetters <- struct{}{}:
		defer func() { <-h.deadLetters }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	again := isLaterReplay(d, r)
	for _, form := range deadLetterForms(full) {
		err = h.publishForm(ctx, form, key, r, again)
		if !isRefusal(err) {
			break
		}
		h.Log.WarnContext(ctx, "a dead letter was refused; publishing less of it", "key", key, "error", err)
	}
	switch {
	case errors.Is(err, errConfirmed):
	case isRefusal(err):
		h.Log.ErrorContext(ctx, "a request has failed without a dead letter, because its stream refuses every form of it; "+
			"the original is in the stream of requests", "key", key, "sequence", d.sequence, "error", err)
		h.Unstored()
		return nil
	case err != nil:
		return err
	}
	crash.Point("dead letter published", "")
	h.Provisioner.Buried(ctx, key, r.Outcome, d.name)
	crash.Point("burial noted", "")
	return nil
}

// isLaterReplay reports whether the message is a replay whose number the ledger had already decided by another
// message: an operator has replayed a dead letter that was older than the ledger. Its own dead letter was removed for
// that, so there must be one again.
func isLaterReplay(d delivery, r pipeline.Result) bool {
	decidedBy, named := messageOf(r.Outcome.Delivery)
	return d.replay > 0 && r.Facts.Ledger == pipeline.Failed && named && decidedBy != d.message()
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
		header.Set(jetstream.MsgIDHeader, ownID(header)) // for a confirmation that is lost
	}
	return []*nats.Msg{full, {Subject: full.Subject, Header: reasons}, {Subject: full.Subject, Header: least}}
}

// conflictBackoff is the pause before a dead letter is published again because something else came first: another
// replica's, or whatever others publish to the stream.
func (h *Handler) conflictBackoff() Backoff {
	return Backoff{Min: 2 * time.Millisecond, Max: 200 * time.Millisecond, Random: h.again.Random}
}

// manyConflicts is after how many in a row the service is not ready and logs why: some seconds.
const manyConflicts = 30

// publishForm publishes one form of a dead letter and waits until the stream has it. again: also where the ledger has it
// as confirmed.
func (h *Handler) publishForm(ctx context.Context, letter *nats.Msg, key string, r pipeline.Result, again bool) error {
	unknown := 0 // tries that may have been stored
	allowed := func(ctx context.Context) ([]jetstream.PublishOpt, error) {
		stream, err := h.JetStream.Stream(ctx, events.StreamDeadLetters)
		if err != nil {
			return nil, err
		}
		now, err := h.recorded(ctx, key, r)
		if err == nil && now.Buried && !again {
			err = errConfirmed
		}
		if err == nil && unknown > 0 { // a confirmation may have been lost
			_, err = h.isStored(ctx, letter, StoredMessage{LastFor: letter.Subject})
		}
		if err == nil {
			unknown++
		}
		crash.Point("dead letter allowed", "")
		return []jetstream.PublishOpt{jetstream.WithExpectLastSequence(stream.CachedInfo().State.LastSeq)}, err
	}
	for conflicts := 0; ; {
		ack, err := h.publish(ctx, letter, events.StreamDeadLetters, allowed)
		switch {
		case isWrongSequence(err):
			unknown-- // this one was not stored
			if conflicts++; conflicts >= manyConflicts {
				h.failing(err)
			}
			if sleep(ctx, h.conflictBackoff().Delay(conflicts)) != nil {
				return err
			}
			continue
		case err != nil || !ack.Duplicate:
			return err
		}
		unknown-- // nor this one
		// The stream knows the Nats-Msg-Id. If it is our own, this very dead letter was stored before, and perhaps removed
		// since. If it is the original's, its publisher may have used it twice.
		own := ownID(letter.Header)
		if letter.Header.Get(jetstream.MsgIDHeader) == own {
			return errConfirmed
		}
		there, err := h.isStored(ctx, letter, StoredMessage{Sequence: ack.Sequence})
		if err != nil {
			return err
		}
		if !there && unknown > 0 { // removed since: a try before this one has stored it
			return errConfirmed
		}
		for _, id := range letter.Header[jetstream.MsgIDHeader] {
			letter.Header.Add(keptPrefix+jetstream.MsgIDHeader, escapeValue(id))
		}
		letter.Header.Set(jetstream.MsgIDHeader, own)
	}
}

// ownID is the Nats-Msg-Id of a dead letter whose original has none, or one that is taken.
func ownID(letter nats.Header) string { return "dead-letter." + letter.Get(nonceHeader) }

// isStored returns [errConfirmed] if the message is this dead letter, and otherwise whether there is one.
func (h *Handler) isStored(ctx context.Context, letter *nats.Msg, which StoredMessage) (there bool, _ error) {
	found, err := GetMessage(ctx, h.JetStream, events.StreamDeadLetters, which)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err == nil && found.Subject == letter.Subject && found.Header.Get(nonceHeader) == letter.Header.Get(nonceHeader):
		return true, errConfirmed
	}
	return true, err
}
