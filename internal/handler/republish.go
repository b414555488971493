package handler

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// The functions of this file publish again what a stream has lost. They are for an operator's command, while the
// service takes no requests. Each can be repeated: it publishes nothing that the stream still has. Where the duplicate
// window of the stream knows the Nats-Msg-Id of a message that is gone, they publish under another one.

// RepublishRequest publishes a stored request again as it was, under its own replay number. Its error wraps
// [ErrUnreplayable] if the request cannot be published as it was.
func RepublishRequest(ctx context.Context, js jetstream.JetStream, stored *jetstream.RawStreamMsg) error {
	header, err := replayable(stored.Header, stored.Data, replayNumber(stored.Header) > 0)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: stored.Subject, Header: header, Data: stored.Data}
	isThere := func(there *jetstream.RawStreamMsg) bool {
		return there.Sequence > stored.Sequence && bytes.Equal(there.Data, stored.Data)
	}
	return republish(ctx, js, msg, events.StreamRequests, isThere, func() {
		msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
	})
}

// RepublishOutcome publishes an outcome of the ledger again, with the same bytes.
func RepublishOutcome(ctx context.Context, js jetstream.JetStream, o pipeline.Outcome) error {
	msg := &nats.Msg{Subject: o.Type, Header: outcomeHeader(o), Data: o.Body}
	isThere := func(there *jetstream.RawStreamMsg) bool {
		return there.Subject == o.Type && bytes.Equal(there.Data, o.Body)
	}
	return republish(ctx, js, msg, events.StreamEvents, isThere, func() {
		msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
	})
}

// RepublishDeadLetter publishes the dead letter of a failure again, made of the stored request that failed, unless the
// stream has one of the same or of a later replay. It returns what to record with the confirmation: a name for the
// delivery, and the stream, as [pipeline.Outcome].DeadLetterStream. Its error wraps [ErrUnreplayable] if the stream
// rejects every form of the dead letter.
func RepublishDeadLetter(
	ctx context.Context, js jetstream.JetStream, stored *jetstream.RawStreamMsg, o pipeline.Outcome,
) (delivery, stream string, err error) {
	d := storedDelivery(stored)
	if o.DeliveryID == "" { // restored from its event
		o.DeliveryID = d.name
	}
	complete, err := deadLetter(d, o)
	if err != nil {
		return "", "", err
	}
	found, err := js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return "", "", fmt.Errorf("read stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js, err))
	}
	for _, form := range deadLetterForms(complete) {
		if err = republishForm(ctx, js, form); !isRefusal(err) {
			return o.DeliveryID, storedText(found.CachedInfo().Created), err
		}
	}
	return "", "", unreplayable("stream %s rejects every form of its dead letter: %w", events.StreamDeadLetters, err)
}

// storedDelivery is the delivery of a stored message, as far as its dead letter depends on it.
func storedDelivery(stored *jetstream.RawStreamMsg) delivery {
	d := delivery{
		msg:    &Message{Msg: &nats.Msg{Subject: stored.Subject, Header: stored.Header, Data: stored.Data}},
		stream: events.StreamRequests, sequence: stored.Sequence, stored: stored.Time,
		replay: replayNumber(stored.Header),
	}
	d.name = d.message() + nameSeparator + rand.Text()
	return d
}

// IsDecidedBy reports whether the outcome in the ledger was decided by a delivery of the message that the stream of
// requests has stored at that sequence and time.
func IsDecidedBy(o pipeline.Outcome, sequence uint64, stored time.Time) bool {
	decidedBy, named := messageOf(o.DeliveryID)
	return named && decidedBy == delivery{sequence: sequence, stored: stored}.message()
}

func republishForm(ctx context.Context, js jetstream.JetStream, letter *nats.Msg) error {
	replay, err := count(letter.Header.Get(replayHeader))
	if err != nil {
		return err
	}
	for {
		last, err := GetMessage(ctx, js, events.StreamDeadLetters, StoredMessage{LastFor: letter.Subject})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			last, err = &jetstream.RawStreamMsg{}, nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js, err))
		}
		if there, err := count(last.Header.Get(replayHeader)); err == nil && there >= replay {
			return nil
		}
		isThere := func(there *jetstream.RawStreamMsg) bool { return same(there, letter, nonceHeader) }
		err = republish(ctx, js, letter, events.StreamDeadLetters, isThere, func() {
			isOwn := letter.Header.Get(jetstream.MsgIDHeader) == ownMsgID(letter.Header)
			letter.Header.Set(nonceHeader, rand.Text())
			if isOwn {
				letter.Header.Set(jetstream.MsgIDHeader, ownMsgID(letter.Header))
			} else {
				useOwnMsgID(letter.Header)
			}
		}, jetstream.WithExpectLastSequencePerSubject(last.Sequence))
		if !isWrongSequence(err) {
			return err
		}
	}
}

// republish publishes a message, unless the server drops it as a duplicate of a message that is there. If the server
// drops it as a duplicate of any other message, or of one that is gone, it calls rename, which gives it another
// Nats-Msg-Id, and publishes it again.
func republish(
	ctx context.Context, js jetstream.JetStream, msg *nats.Msg, stream string,
	isThere func(*jetstream.RawStreamMsg) bool, rename func(), options ...jetstream.PublishOpt,
) error {
	for {
		ack, err := publishOnce(ctx, js, msg, stream, options...)
		if err != nil {
			return fmt.Errorf("publish to %s on stream %s: %w", msg.Subject, stream,
				ExplainPermission(js.Conn(), err, msg.Subject))
		}
		if !ack.Duplicate {
			return nil
		}
		there, err := GetMessage(ctx, js, stream, StoredMessage{Sequence: ack.Sequence})
		switch {
		case err == nil && isThere(there):
			return nil
		case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
			return fmt.Errorf("read message %d of stream %s: %w", ack.Sequence, stream, ExplainAPIPermission(js, err))
		}
		rename()
	}
}

// ReplayNumber returns the replay number that a stored request has, as the ledger counts it if it does not know the
// request: 0 is the original.
func ReplayNumber(header nats.Header) int { return pipeline.FirstReplay(replayNumber(header)) }

// RecreateConsumer deletes the durable consumer and creates it again with the same settings, at its acknowledged floor
// or, if the stream no longer has that, at the first request.
func RecreateConsumer(ctx context.Context, js jetstream.JetStream) error {
	consumer, stream, err := readConsumer(ctx, js)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // another process is making it again
	}
	if err != nil {
		return err
	}
	return replaceConsumer(ctx, js, fromFloor(consumer, stream.State.LastSeq, time.Time{}))
}
