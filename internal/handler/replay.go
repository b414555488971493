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
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

var (
	// ErrUnreplayable is wrapped if a dead letter can never be replayed. It stays in the stream.
	ErrUnreplayable = errors.New("it cannot be replayed")
	// ErrNotRemoved is wrapped if a dead letter was replayed but could not be removed.
	ErrNotRemoved = errors.New("it was replayed, and its dead letter could not be removed; replaying it again is safe")
)

func unreplayable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnreplayable, fmt.Errorf(format, args...))
}

// Replayed is a replay that the stream of requests has stored.
type Replayed struct {
	Request *events.Request // complete, however long; nil: undecodable
	// Key is the key of the replay, and of its dead letter if it fails. It is empty if the replay is undecodable and could
	// not be read back: then its outcome cannot be identified.
	Key      string
	Number   int    // its Replay-Number
	Sequence uint64 // in the stream of requests
	// NotRestored are the original names of headers that the replay has only under another name (see keepHeader).
	NotRestored []string
	// Repeated reports that the stream already had this replay, from another operator or an interrupted run. It holds it
	// once.
	Repeated bool
	// Stored is a time before which another stream has not stored the outcome of a repeated replay: when the replay was
	// stored, less what the clocks of two servers may differ.
	Stored time.Time
}

// Replay publishes the original again, as the next replay, and removes the dead letter. Tests cite these numbers.
//
//  1. Publish, wait for the PubAck of the stream of requests, then remove. If the publication fails, or another stream
//     stores it, the dead letter stays.
//  2. The Nats-Msg-Id is derived from data that only clients with access to dead letters know. Two concurrent replays,
//     or an interrupted run that is repeated, store one message; a publisher cannot use the id first. If the server
//     drops the replay as a duplicate, the stored message is first compared with it.
//  3. An interruption after the publication leaves both the dead letter and the replay. Repeating it is always safe.
//     After the stream's duplicate window it stores a second message with the same number. The ledger treats that as a
//     redelivery: it answers with the recorded outcome, and for a failure also with the dead letter. (An undecodable
//     message is not in the ledger: it fails a second time, and has a second dead letter.)
//  4. The dead letter is removed by its sequence. If the replay has failed by then, a newer one is on the same subject,
//     and stays.
//  5. Only requests are published, and a request only under its own key. So a forged message in the stream cannot reach
//     a subject of its author's choice, or reopen another's request.
//
// The error wraps [ErrGone], [ErrUnreplayable] or [ErrNotRemoved]. Of these, only ErrNotRemoved means that a replay was
// published.
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
			return Replayed{}, fmt.Errorf("stream %s does not exist; run the service once to create it",
				events.StreamRequests)
		case err != nil:
			return Replayed{}, l.notPublished(err, msg.Subject)
		}
		r.Sequence, r.Repeated, taken = ack.Sequence, ack.Duplicate, false
		if ack.Duplicate {
			if r.Stored, taken, err = l.isTaken(ctx, letter, ack, msg); err != nil {
				return Replayed{}, fmt.Errorf("read the message that the server considers the same as the replay: %w", err)
			}
		}
		if taken {
			msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
		}
	}
	// It is published: remove the dead letter even if ctx has ended.
	ctx = context.WithoutCancel(ctx)
	_, err = l.Remove(ctx, letter)
	if r.Request == nil { // the key includes the time when the replay was stored, which the PubAck lacks
		r.Key = l.undecodableKey(ctx, r.Sequence)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrNotRemoved, err)
	}
	return r, nil
}

// notPublished explains an error of the publication. Without an answer the replay may have been stored.
func (l *DeadLetters) notPublished(err error, subject string) error {
	err = fmt.Errorf("publish the replay: %w", ExplainPermission(l.js.Conn(), err, subject))
	if isUnanswered(err) && !errors.Is(err, nats.ErrPermissionViolation) {
		err = fmt.Errorf("%w; it may be stored all the same: repeat the command, which is safe", err)
	}
	return err
}

// isTaken reports whether the server dropped the replay because another message has its Nats-Msg-Id, and that message
// is not an earlier replay of this dead letter. If it is one, it returns the time of [Replayed].Stored.
func (l *DeadLetters) isTaken(
	ctx context.Context, letter DeadLetter, ack *jetstream.PubAck, msg *nats.Msg,
) (stored time.Time, taken bool, _ error) {
	there, err := GetMessage(ctx, l.js, events.StreamRequests, StoredMessage{Sequence: ack.Sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, true, nil // it was removed, and cannot be compared
	}
	if err != nil {
		return time.Time{}, false, err
	}
	same := !letter.taken.After(there.Time) && there.Subject == msg.Subject && bytes.Equal(there.Data, msg.Data) &&
		maps.EqualFunc(there.Header, msg.Header, slices.Equal)
	return there.Time.Add(-clockTolerance), !same, nil
}

// Check returns the number that a replay would have, or the error that [DeadLetters.Replay] would return before it
// publishes.
func (l *DeadLetters) Check(ctx context.Context, letter DeadLetter) (number int, err error) {
	_, r, err := l.prepare(ctx, letter)
	return r.Number, err
}

// prepare returns the message of the replay.
func (l *DeadLetters) prepare(ctx context.Context, letter DeadLetter) (*nats.Msg, Replayed, error) {
	last, err := count(letter.Header.Get(deadLetterPrefix + "Replay"))
	switch {
	case letter.Subject == "":
		return nil, Replayed{}, unreplayable("it has no header %sSubject; another program published it", deadLetterPrefix)
	case letter.Subject != events.TypeRequested && (!isBelowRequested(letter.Subject) || !isLiteral(letter.Subject)):
		return nil, Replayed{}, unreplayable("its header %sSubject is %s, and requests are on %s",
			deadLetterPrefix, events.Quote(letter.Subject), events.TypeRequested)
	case err != nil:
		return nil, Replayed{}, unreplayable("its header %sReplay is not a replay number", deadLetterPrefix)
	case last == math.MaxInt32:
		return nil, Replayed{}, unreplayable("its header %sReplay is %d, the highest possible number; publish "+
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
	case last >= pipeline.MaxReplay: // not in the ledger, which accepts a higher number only as its next
		r.Number = 1
	}
	// An earlier version may have been unable to decode it.
	if (r.Request == nil || letter.Key != r.Key) && !letter.isUndecodable(msg.Data) {
		return nil, Replayed{}, unreplayable("its key is not that of the request that it holds; it was changed, " +
			"or the stream of requests was deleted or restored since")
	}
	for name := range msg.Header {
		if strings.EqualFold(name, ReplayHeader) || strings.EqualFold(name, jetstream.MsgIDHeader) {
			delete(msg.Header, name)
		}
	}
	if msg.Header, err = replayable(msg.Header, msg.Data, false); err != nil {
		return nil, Replayed{}, err
	}
	r.NotRestored = keptNames(msg.Header)
	if letter.Header.Get(unreadableHeader) != "" {
		r.NotRestored = append(r.NotRestored, "all, which cannot be read")
	}
	number := strconv.Itoa(r.Number)
	msg.Header[ReplayHeader] = []string{number}
	// A dead letter of an earlier version has no nonce; its sequence and the nanosecond of its storage identify it.
	nonce := cmp.Or(letter.Header.Get(nonceHeader), fmt.Sprintf("%d.%d", letter.Sequence, letter.taken.UnixNano()))
	msg.Header[jetstream.MsgIDHeader] = []string{"replay." + number + "." + nonce}
	return msg, r, nil
}

// replayable returns the header with which the original can be published. It must not turn the message into a different
// event. copied: see [keepHeader].
func replayable(original nats.Header, body []byte, copied bool) (nats.Header, error) {
	header := keepHeader(original, copied)
	before, undecodable := events.Decode(original, body)
	after, err := events.Decode(header, body)
	if (undecodable == nil) != (err == nil) ||
		err == nil && (before.Source() != after.Source() || before.ID() != after.ID()) {
		return nil, unreplayable("its headers %s cannot be published unchanged, and without them it would be a different "+
			"event; ask the publisher to request it again", strings.Join(keptNames(header), ", "))
	}
	return header, nil
}
