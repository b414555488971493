package recovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
)

// Guard compares the database with the newest outcomes in TENANT_EVENTS.
type Guard struct {
	JetStream jetstream.JetStream
	Database  database.Comparable
}

// remedy is what to do about a database and streams that do not belong together.
const remedy = "consumer reconcile shows what is lost, consumer reconcile --apply restores it; see docs/recovery.md"

// Check returns an error that wraps [handler.ErrRestored] if the database is a copy of the one that the streams belong
// to, or older than the streams. Any other error means that they could not be compared. It costs a query of the
// registry and, for each of the two subjects of outcomes, one read of the stream and one of the ledger.
func (g Guard) Check(ctx context.Context) error {
	stamp, err := g.Database.Stamp(ctx)
	if err != nil {
		return fmt.Errorf("read the registry's id: %w", err)
	}
	if stamp.CopyOf != "" {
		return copyError(stamp)
	}
	for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
		if err := g.checkNewest(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

// checkNewest compares the newest outcome on that subject. The stream is read before the ledger: in between, outcomes
// are added to the ledger.
func (g Guard) checkNewest(ctx context.Context, subject string) error {
	newest, err := handler.GetMessage(ctx, g.JetStream, events.StreamEvents, handler.StoredMessage{LastFor: subject})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the newest %s in stream %s: %w", subject, events.StreamEvents,
			handler.ExplainAPIPermission(g.JetStream.Conn(), err))
	}
	o, ok := readOutcome(newest)
	if !ok || o.key == "" {
		return nil
	}
	entry, err := g.Database.Entry(ctx, o.key)
	if err != nil && !errors.Is(err, sql.ErrNotFound) {
		return fmt.Errorf("read the ledger: %w", err)
	}
	var lacks string
	switch {
	case err != nil:
		lacks = "has no such request"
	case entry.Replay < o.replay:
		lacks = fmt.Sprintf("has only its replay %d", entry.Replay)
	case entry.Replay == o.replay && entry.State != "running" && entry.OutcomeID != o.id:
		lacks = fmt.Sprintf("has another outcome of it, %s", entry.OutcomeID)
	default:
		return nil
	}
	accepted, err := g.Database.IsAccepted(ctx, o.id)
	if err != nil {
		return fmt.Errorf("read the accepted outcomes: %w", err)
	}
	if accepted {
		return nil
	}
	return fmt.Errorf("%w: the database is older than the streams: %s of tenant %s (request %s of %s, replay %d) was "+
		"published at %s, and the ledger %s. No request is taken. %s", handler.ErrRestored, subject, events.Quote(o.tenant),
		events.Quote(o.request.ID), events.Quote(o.request.Source), o.replay, timeText(newest.Time), lacks, remedy)
}
