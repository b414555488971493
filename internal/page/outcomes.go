package page

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

const (
	maxOutcomes = 20 // outcomes that are shown
	// maxLookback is how many sequences are read at most: messages may have been removed.
	maxLookback = 3 * maxOutcomes
	// parallelReads is how many messages are read in parallel.
	parallelReads = 5
)

// outcomes are the newest outcomes in their stream, newest first.
type outcomes struct {
	List    []outcome
	Total   uint64    // in the stream
	created time.Time // of the stream: in a recreated one, sequences mean other messages
}

// outcome is one message of the stream. If DecodeError is empty, one of Provisioned and Failed is set.
type outcome struct {
	Sequence    uint64
	Stored      time.Time // by the server
	Provisioned *events.Provisioned
	Failed      *events.ProvisioningFailed
	DecodeError string // why the message is not an outcome
	deleted     bool
}

// readOutcomes reads the outcomes that were not read before.
func readOutcomes(ctx context.Context, js jetstream.JetStream, before outcomes) (outcomes, error) {
	stream, err := js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return outcomes{}, fmt.Errorf("stream %s: %w", events.StreamEvents, err)
	}
	info := stream.CachedInfo()
	current := outcomes{Total: info.State.Msgs, created: info.Created}
	known := map[uint64]outcome{}
	if info.Created.Equal(before.created) {
		for _, o := range before.List {
			known[o.Sequence] = o
		}
	}
	next := info.State.LastSeq
	first := max(info.State.FirstSeq, 1, next-min(next, maxLookback)+1)
	for next >= first && len(current.List) < maxOutcomes {
		batch := make([]outcome, min(next-first+1, uint64(maxOutcomes-len(current.List)))) //nolint:gosec // not negative
		var group errgroup.Group
		group.SetLimit(parallelReads)
		for i := range batch {
			sequence := next - uint64(i)
			var read bool
			if batch[i], read = known[sequence]; read {
				continue
			}
			group.Go(func() (err error) {
				batch[i], err = readOutcome(ctx, js, sequence)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return outcomes{}, fmt.Errorf("read stream %s: %w", events.StreamEvents, err)
		}
		for _, o := range batch {
			if !o.deleted {
				current.List = append(current.List, o)
			}
		}
		next -= uint64(len(batch))
	}
	return current, nil
}

func readOutcome(ctx context.Context, js jetstream.JetStream, sequence uint64) (outcome, error) {
	msg, err := handler.GetMessage(ctx, js, events.StreamEvents, handler.StoredMessage{Sequence: sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return outcome{deleted: true}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	o := outcome{Sequence: sequence, Stored: msg.Time.UTC()}
	if o.Provisioned, o.Failed, err = decode(msg); err != nil {
		o.DecodeError = err.Error()
	}
	return o, nil
}

func decode(msg *jetstream.RawStreamMsg) (*events.Provisioned, *events.ProvisioningFailed, error) {
	e, err := events.Decode(msg.Header, msg.Data)
	if err != nil {
		return nil, nil, err
	}
	if e.Type() == events.TypeProvisioned {
		data, err := events.ProvisionedFrom(e)
		return &data, nil, err
	}
	data, err := events.FailedFrom(e)
	return nil, &data, err
}

// ourKey matches the key of a dead letter; any other text is not put into a command.
var ourKey = regexp.MustCompile(`^[0-9a-f]{64}$`)

// DeadLetterKey is a prefix of the key of a failure's dead letter that is long enough to select it, or empty.
func (o outcome) DeadLetterKey() string {
	return shortKey(strings.TrimPrefix(o.Failed.DeadLetter.Subject, events.SubjectDeadLetterPrefix))
}

// shortKey returns a prefix of a dead letter's key that is long enough to select it, or "" if it is not a key of ours.
func shortKey(key string) string {
	if !ourKey.MatchString(key) {
		return ""
	}
	return key[:12]
}
