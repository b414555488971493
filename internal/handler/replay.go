package handler

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

var (
	// ErrUnreplayable is wrapped where a dead letter cannot be replayed, now or later. It stays.
	ErrUnreplayable = errors.New("it cannot be replayed")
	// ErrNotRemoved is wrapped where a dead letter was replayed and is still there.
	ErrNotRemoved = errors.New("it was replayed, and its dead letter could not be removed; replaying it again is safe")
)

func unreplayable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnreplayable, fmt.Errorf(format, args...))
}

// Replayed is a replay that the stream of requests has.
type Replayed struct {
	Request *events.Request // whole, however long; nil: undecodable
	// Key is the key of the replay, and of its dead letter if it fails. It is empty where the replay is undecodable and
	// could not be read back: its outcome cannot be told from others.
	Key      string
	Number   int    // its Replay-Number
	Sequence uint64 // in the stream of requests
	// NotRestored are headers of the original that the replay has under another name only (see keepHeader), by their
	// original names.
	NotRestored []string
	// Repeated: the stream had this replay already, from another operator or an interrupted run, and holds
	// it once.
	Repeated bool
}

// Replay publishes the original again, as the next replay, and removes the dead letter. Tests cite these
// numbers.
//
//  1. Publish, wait for the PubAck of the stream of requests, then remove. A publication that fails, or that
//     another stream has taken, leaves the dead letter where it is.
//  2. The Nats-Msg-Id is made of what only those know who may read dead letters. Two operators who replay at once, and
//     an interrupted run that is repeated, put one message into the stream; a publisher cannot use the id before them.
//     Where the server drops the replay as a duplicate, what lies there is compared with it first.
//  3. An interruption after the publication leaves the dead letter and the replay. Repeating it is safe for
//     ever: after the stream's duplicate window it is a second message with the same number, which the ledger
//     treats as a redelivery and answers with the outcome that it has, and with its dead letter where that is a
//     failure. (What cannot be decoded is in no ledger: there it fails a second time, and has a second dead letter.)
//  4. The dead letter is removed by its sequence. If the replay has failed by then, a newer one stands on the
//     same subject, and stays.
//  5. Nothing is published but requests, and a request only under its own key: what somebody else has put into
//     the stream is not carried to a subject of his choice, nor does it reopen the request of another.
//
// The error wraps [ErrGone], [ErrUnreplayable] or [ErrNotRemoved]; only after the last there is a replay.
func (l *DeadLetters) Replay(ctx context.Context, letter DeadLetter) (Replayed, error) {
	msg, r, err := l.prepare(ctx, letter)
	if err != nil {
		return Replayed{}, err
	}
	for taken := true; taken; {
		ack, err := publishOnce(ctx, l.js, msg, events.StreamRequests)
		switch {
		case isTooLarge(err):
			return Replayed{}, unreplayable("with its new headers the original is larger than the server or stream %s "+
				"takes (%w); raise max_payload or max_msg_size a little", events.StreamRequests, err)
		case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
			return Replayed{}, fmt.Errorf("stream %s is not there: run the service once, which creates it",
				events.StreamRequests)
		case err != nil:
			return Replayed{}, fmt.Errorf("publish the replay: %w", ExplainPermission(l.js.Conn(), err, msg.Subject))
		}
		r.Sequence, r.Repeated = ack.Sequence, ack.Duplicate
		if taken, err = l.isTaken(ctx, letter, ack, msg); err != nil {
			return Replayed{}, fmt.Errorf("read the message that the server considers the same as the replay: %w", err)
		}
		if taken {
			msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
		}
	}
	// It is published; the end of ctx is no reason to leave the dead letter.
	ctx = context.WithoutCancel(ctx)
	_, err = l.Remove(ctx, letter)
	if r.Request == nil { // the key has the time when the replay was stored, which the PubAck does not tell
		r.Key = l.undecodableKey(ctx, r.Sequence)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrNotRemoved, err)
	}
	return r, nil
}

// isTaken reports whether the server has dropped the replay because another message has its Nats-Msg-Id, which is not
// an earlier replay of this dead letter.
func (l *DeadLetters) isTaken(
	ctx context.Context, letter DeadLetter, ack *jetstream.PubAck, msg *nats.Msg,
) (bool, error) {
	if !ack.Duplicate {
		return false, nil
	}
	there, err := GetMessage(ctx, l.js, events.StreamRequests, StoredMessage{Sequence: ack.Sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil // it was removed, unseen
	}
	if err != nil {
		return false, err
	}
	same := !letter.taken.After(there.Time) && there.Subject == msg.Subject && bytes.Equal(there.Data, msg.Data) &&
		maps.EqualFunc(there.Header, msg.Header, slices.Equal)
	return !same, nil
}

// Check returns the number that a replay would have, or the error that it would return before it publishes.
func (l *DeadLetters) Check(ctx context.Context, letter DeadLetter) (number int, err error) {
	_, r, err := l.prepare(ctx, letter)
	return r.Number, err
}

// prepare makes the message of the replay.
func (l *DeadLetters) prepare(ctx context.Context, letter DeadLetter) (*nats.Msg, Replayed, error) {
	last, err := count(letter.Header.Get(deadLetterPrefix + "Replay"))
	switch {
	case letter.Subject == "":
		return nil, Replayed{}, unreplayable("it has no header %sSubject; another program published it", deadLetterPrefix)
	case letter.Subject != events.TypeRequested:
		return nil, Replayed{}, unreplayable("its header %sSubject is %s, and requests are on %s",
			deadLetterPrefix, events.Quote(letter.Subject), events.TypeRequested)
	case err != nil:
		return nil, Replayed{}, unreplayable("its header %sReplay is not the number of a replay", deadLetterPrefix)
	case last == math.MaxInt32:
		return nil, Replayed{}, unreplayable("its header %sReplay is %d, and no number above that is left; publish "+
			"the request again under a new id", deadLetterPrefix, last)
	}
	msg, err := l.Original(ctx, letter)
	if err != nil {
		return nil, Replayed{}, err
	}
	r := Replayed{Number: last + 1}
	e, err := events.Decode(msg.Header, msg.Data)
	switch {
	case err == nil:
		r.Request = &events.Request{Source: e.Source(), ID: e.ID()}
		r.Key = events.RequestKey(e.Source(), e.ID())
	case last >= pipeline.MaxReplay: // in no ledger, of which a higher number would be the next
		r.Number = 1
	}
	// An earlier version may not have been able to decode it.
	if (r.Request == nil || letter.Key != r.Key) && !letter.isUndecodable(msg.Data) {
		return nil, Replayed{}, unreplayable("its key is not that of the request that it holds; it was changed, " +
			"or the stream of requests was deleted or restored since")
	}
	for name := range msg.Header {
		if strings.EqualFold(name, ReplayHeader) || strings.EqualFold(name, jetstream.MsgIDHeader) {
			delete(msg.Header, name)
		}
	}
	if msg.Header, err = replayable(msg.Header, msg.Data); err != nil {
		return nil, Replayed{}, err
	}
	r.NotRestored = keptNames(msg.Header)
	if letter.Header.Get(unreadableHeader) != "" {
		r.NotRestored = append(r.NotRestored, "all, which cannot be read")
	}
	number := strconv.Itoa(r.Number)
	msg.Header[ReplayHeader] = []string{number}
	// A dead letter of an earlier version has no nonce; its place and the nanosecond in which it was stored name it.
	nonce := cmp.Or(letter.Header.Get(nonceHeader), fmt.Sprintf("%d.%d", letter.Sequence, letter.taken.UnixNano()))
	msg.Header[jetstream.MsgIDHeader] = []string{"replay." + number + "." + nonce}
	return msg, r, nil
}

// replayable is the header of the original as it can be published. It must not make another event of the message.
func replayable(original nats.Header, body []byte) (nats.Header, error) {
	header := keepHeader(original, false)
	before, undecodable := events.Decode(original, body)
	after, err := events.Decode(header, body)
	if (undecodable == nil) != (err == nil) ||
		err == nil && (before.Source() != after.Source() || before.ID() != after.ID()) {
		return nil, unreplayable("its headers %s cannot be written as they were, and without them it is another event; "+
			"have it requested again", strings.Join(keptNames(header), ", "))
	}
	return header, nil
}
