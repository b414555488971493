package handler

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	Request  *events.Request // whole, however long; nil: undecodable
	Number   int             // its Replay-Number
	Sequence uint64          // in the stream of requests
	// Repeated: the stream had this replay already, from another operator or an interrupted run, and holds
	// it once.
	Repeated bool
}

// Replay publishes the original again, as the next replay, and removes the dead letter. Tests cite these
// numbers.
//
//  1. Publish, wait for the PubAck of the stream of requests, then remove. A publication that fails, or that
//     another stream has taken, leaves the dead letter where it is.
//  2. The Nats-Msg-Id is a function of the dead letter's key and the number of the replay. Two operators who
//     replay at once, and an interrupted run that is repeated, put one message into the stream.
//  3. An interruption after the publication leaves the dead letter and the replay. Repeating it is safe for
//     ever: after the stream's duplicate window it is a second message with the same number, which the ledger
//     treats as a redelivery and answers with the outcome that it has. (What cannot be decoded is in no ledger:
//     there it fails a second time, and has a second dead letter.)
//  4. The dead letter is removed by its sequence. If the replay has failed by then, a newer one stands on the
//     same subject, and stays.
//  5. Nothing is published but requests, and a request only under its own key: what somebody else has put into
//     the stream is not carried to a subject of his choice, nor does it reopen the request of another.
//
// The error wraps [ErrGone], [ErrUnreplayable] or [ErrNotRemoved]; only after the last there is a replay.
func (l *Letters) Replay(ctx context.Context, letter Letter) (Replayed, error) {
	msg, r, err := l.prepare(ctx, letter)
	if err != nil {
		return Replayed{}, err
	}
	ack, err := publishOnce(ctx, l.js, msg, events.StreamRequests)
	switch {
	case tooLarge(err):
		return Replayed{}, unreplayable("with its new headers the original is larger than the server or stream %s "+
			"takes (%w); raise max_payload or max_msg_size a little", events.StreamRequests, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return Replayed{}, fmt.Errorf("stream %s is not there: run the service once, which creates it", events.StreamRequests)
	case err != nil:
		return Replayed{}, fmt.Errorf("publish the replay: %w", Refused(l.js.Conn(), err, msg.Subject))
	}
	r.Sequence, r.Repeated = ack.Sequence, ack.Duplicate
	// It is published; the end of ctx is no reason to leave the dead letter.
	if _, err := l.Remove(context.WithoutCancel(ctx), letter); err != nil {
		return r, fmt.Errorf("%w: %w", ErrNotRemoved, err)
	}
	return r, nil
}

// Check returns the number that a replay would have, or the error that it would return before it publishes.
func (l *Letters) Check(ctx context.Context, letter Letter) (number int, err error) {
	_, r, err := l.prepare(ctx, letter)
	return r.Number, err
}

// prepare makes the message of the replay.
func (l *Letters) prepare(ctx context.Context, letter Letter) (*nats.Msg, Replayed, error) {
	last, err := count(letter.Header.Get(deadLetterPrefix + "Replay"))
	switch {
	case letter.Subject == "":
		return nil, Replayed{}, unreplayable("it has no header %sSubject; somebody else has put it there", deadLetterPrefix)
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
	key := events.RequestKey(letter.Stream, strconv.FormatUint(letter.OriginalSequence, 10)) // of what is undecodable
	e, err := events.Decode(msg.Header, msg.Data)
	switch {
	case err == nil:
		r.Request = &events.Request{Source: e.Source(), ID: e.ID()}
	case last >= pipeline.MaxReplay: // in no ledger, of which a higher number would be the next
		r.Number = 1
	}
	// An earlier version may not have been able to decode it.
	if letter.Key != key && (r.Request == nil || letter.Key != events.RequestKey(e.Source(), e.ID())) {
		return nil, Replayed{}, unreplayable("its key is not that of the request that it holds; somebody has changed it, " +
			"or made the stream of requests anew")
	}
	for name := range msg.Header {
		if strings.EqualFold(name, ReplayHeader) || strings.EqualFold(name, jetstream.MsgIDHeader) {
			delete(msg.Header, name)
		}
	}
	number := strconv.Itoa(r.Number)
	msg.Header[ReplayHeader] = []string{number}
	msg.Header[jetstream.MsgIDHeader] = []string{letter.Key + ".replay." + number}
	return msg, r, nil
}
