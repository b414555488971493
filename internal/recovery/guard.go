package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
)

// Guard compares the database with the outcomes in TENANT_EVENTS: with the newest of each type, and with all of this
// service after the registry's checkpoint, see [sql.Checkpoint].
type Guard struct {
	JetStream jetstream.JetStream
	Database  database.Comparable
	Log       *slog.Logger
	// SetCheckpoint moves the registry's checkpoint, see [database.Recovery]; nil: it stays.
	SetCheckpoint func(ctx context.Context, from, to sql.Checkpoint) (moved bool, err error)
}

const (
	// remedy is what to do about a database and streams that do not belong together.
	remedy = "consumer reconcile shows what is lost, consumer reconcile --apply restores it; see docs/recovery.md"
	// maxCompared is how many messages after the checkpoint one check compares. The first that a restore has lost follows
	// the checkpoint closely, so that the rest can wait for the next check.
	maxCompared = 10_000
)

// Check returns an error that wraps [handler.ErrRestored] if the database is a copy of the one that the streams belong
// to, or older than the streams. Any other error means that they could not be compared. It costs a query of the
// registry, a request for the state of the stream and, for each of the two newest and each new outcome, one read of the
// stream and one of the ledger.
func (g Guard) Check(ctx context.Context) error {
	stamp, err := g.Database.Stamp(ctx)
	if err != nil {
		return err
	}
	if stamp.CopyOf != "" {
		return copyError(stamp)
	}
	for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
		newest, err := g.read(ctx, handler.StoredMessage{LastFor: subject})
		if err != nil {
			return err
		}
		if newest == nil {
			continue
		}
		if o, ok := readOutcome(newest); ok && o.key != "" && !o.isPruned(stamp.PrunedBefore) {
			if err := g.compare(ctx, newest, o); err != nil {
				return err
			}
		}
	}
	return g.compareSince(ctx, stamp)
}

// compareSince compares all outcomes after the checkpoint, and moves it.
func (g Guard) compareSince(ctx context.Context, stamp sql.Stamp) error {
	from := stamp.Checkpoint
	info, err := streamInfo(ctx, g.JetStream, events.StreamEvents)
	if err != nil {
		return err
	}
	last := sql.Checkpoint{Stream: info.Created, Sequence: info.State.LastSeq}
	at := last
	switch {
	case from.Stream.IsZero(): // of an earlier version, or new: it begins with the newest outcomes
	case !from.Stream.Equal(last.Stream): // the stream was made again
		at.Sequence = 0
	case from.Before(last): // otherwise the stream was restored: what it has was compared before
		at = from
	}
	for compared := 0; at.Sequence < last.Sequence && compared < maxCompared; compared++ {
		next, err := g.read(ctx, handler.StoredMessage{Sequence: at.Sequence + 1, NextFor: ">"})
		if err != nil {
			return err
		}
		if next == nil { // the last ones were removed
			at = last
			break
		}
		o, ok := readOutcome(next)
		switch {
		case !ok:
			g.Log.WarnContext(ctx, "a message is not an outcome; it is not compared with the ledger",
				"stream", events.StreamEvents, "sequence", next.Sequence, "subject", next.Subject)
		case o.key == "", o.refused != "", o.isPruned(stamp.PrunedBefore): // it is of no request, or not this service's
		default:
			if err := g.compare(ctx, next, o); err != nil {
				at.Sequence = next.Sequence - 1
				g.move(ctx, from, at)
				return err
			}
		}
		at.Sequence = next.Sequence
	}
	g.move(ctx, from, at)
	return nil
}

// move moves the checkpoint. Where that fails, the same outcomes are compared again.
func (g Guard) move(ctx context.Context, from, to sql.Checkpoint) {
	if g.SetCheckpoint == nil || from.Equal(to) {
		return
	}
	if _, err := g.SetCheckpoint(ctx, from, to); err != nil {
		g.Log.WarnContext(ctx, "could not record up to which outcome database and streams were compared", "error", err)
	}
}

// read reads a message of TENANT_EVENTS; nil: the stream does not have it.
func (g Guard) read(ctx context.Context, which handler.StoredMessage) (*jetstream.RawStreamMsg, error) {
	msg, err := handler.GetMessage(ctx, g.JetStream, events.StreamEvents, which)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", events.StreamEvents,
			handler.ExplainAPIPermission(g.JetStream, err))
	}
	return msg, nil
}

// compare returns an error that wraps [handler.ErrRestored] if the ledger lacks the outcome, and no operator has
// accepted that. The ledger is read after the stream: in between, outcomes are added to it.
func (g Guard) compare(ctx context.Context, msg *jetstream.RawStreamMsg, o outcome) error {
	entry, err := g.Database.Entry(ctx, o.key)
	missing := errors.Is(err, sql.ErrNotFound)
	if err != nil && !missing {
		return err
	}
	if isRecorded(&o, entry, !missing) {
		return nil
	}
	accepted, err := g.Database.IsAccepted(ctx, o.acceptID())
	if err != nil {
		return err
	}
	if accepted {
		return nil
	}
	has := "has no such request"
	if !missing {
		has = fmt.Sprintf("has the request as %s at replay %d", entry.State, entry.Replay)
	}
	return fmt.Errorf("%w: the database is older than the streams: %s of tenant %s (request %s of %s, replay %d; message "+
		"%d of stream %s, from %s) was published at %s, and the ledger %s. No request is taken. %s. If this service did not "+
		"publish it, %s passes over it", handler.ErrRestored,
		msg.Subject, events.Quote(o.tenant), events.Quote(o.request.ID), events.Quote(o.request.Source), o.replay,
		msg.Sequence, events.StreamEvents, events.Quote(o.source), timeText(msg.Time), has, remedy, acceptCommand(o.tenant))
}

// acceptCommand is the command that accepts what is left of a tenant, or, of an invalid one, all that is left.
func acceptCommand(tenant string) string {
	if safeTenant(tenant) == "" {
		return "consumer reconcile --accept"
	}
	return "consumer reconcile --tenant " + tenant + " --accept"
}
