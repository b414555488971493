package handler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// deadLetterPrefix begins the headers that are added to a dead letter.
const deadLetterPrefix = "Dead-Letter-"

// omitted is set where a request is so large that it and its reasons exceed the server's max_payload, or what
// the stream takes. It is still in its stream, at Dead-Letter-Sequence.
const omitted = deadLetterPrefix + "Omitted"

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
	header := originalHeader(d.msg.Headers())
	for name, value := range map[string]string{
		"Key":      strings.TrimPrefix(failure.DeadLetter.Subject, events.SubjectDeadLetterPrefix),
		"Reason":   string(failure.Cause.Code),
		"Step":     failure.Step.Name,
		"Message":  headerText(failure.Cause.Message),
		"Attempts": strconv.Itoa(failure.Attempts),
		"Replay":   strconv.Itoa(failure.Replay),
		"Stream":   d.stream,
		"Sequence": strconv.FormatUint(d.sequence, 10),
		"Subject":  d.msg.Subject(),
		"Stored":   storedText(d.stored),
		"Time":     e.Time().UTC().Format(time.RFC3339Nano),
		"Tenant":   headerText(failure.TenantID),
	} {
		header[deadLetterPrefix+name] = []string{value}
	}
	return &nats.Msg{Subject: failure.DeadLetter.Subject, Header: header, Data: d.msg.Data()}, nil
}

// originalHeader is the message's header without what the server would act on again: expectations, TTLs
// and schedules were for the stream of requests and would have the dead letter refused or dropped. The
// Nats-Msg-Id stays, for who looks for it. Earlier reasons give way to the present ones.
func originalHeader(original nats.Header) nats.Header {
	header := nats.Header{}
	for name, values := range original {
		lower := strings.ToLower(name)
		if lower != "nats-msg-id" && strings.HasPrefix(lower, "nats-") ||
			strings.HasPrefix(lower, strings.ToLower(deadLetterPrefix)) {
			continue
		}
		header[name] = values
	}
	return header
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

// bury publishes the dead letter and waits until the stream has it.
func (h *Handler) bury(ctx context.Context, d delivery, o pipeline.Outcome) error {
	letter, err := deadLetter(d, o)
	if err != nil {
		return err
	}
	ack, err := h.publish(ctx, letter, events.StreamDeadLetters)
	if tooLarge(err) {
		reasons := nats.Header{
			omitted:    {"the original is too large; it is in Dead-Letter-Stream at Dead-Letter-Sequence"},
			hashHeader: {bodyHash(d.msg.Data())},
		}
		for name, values := range letter.Header {
			if strings.HasPrefix(name, deadLetterPrefix) {
				reasons[name] = values
			}
		}
		letter = &nats.Msg{Subject: letter.Subject, Header: reasons}
		ack, err = h.publish(ctx, letter, events.StreamDeadLetters)
	}
	if err != nil || !ack.Duplicate {
		return err
	}
	// The stream dropped it as a duplicate of a Nats-Msg-Id: of this very dead letter, published before,
	// or of another message's, whose publisher used that id twice.
	there, err := h.deadLetterIsThere(ctx, letter)
	if err != nil || there {
		return err
	}
	letter.Header.Set(jetstream.MsgIDHeader,
		letter.Header.Get(deadLetterPrefix+"Key")+"."+letter.Header.Get(deadLetterPrefix+"Sequence"))
	_, err = h.publish(ctx, letter, events.StreamDeadLetters)
	return err
}

func (h *Handler) deadLetterIsThere(ctx context.Context, letter *nats.Msg) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	stream, err := h.JetStream.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return false, err
	}
	last, err := stream.GetLastMsgForSubject(ctx, letter.Subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	const sequence = deadLetterPrefix + "Sequence"
	return err == nil && last.Header.Get(sequence) == letter.Header.Get(sequence), err
}
