package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/sql"
)

// checkNoRegistry judges a database without a registry as a start of the service would: it creates one, unless tenants
// of a registry that is lost are there. why is the error that says where no registry is.
func checkNoRegistry(ctx context.Context, c config.Config, why error) Finding {
	const name = "registry"
	stop := errors.New("only a trial")
	var foreign []string
	_, err := database.Open(ctx, c, database.NewRegistry{Allow: func(_ context.Context, found []string) error {
		foreign = found
		return stop
	}}, nil, slog.New(slog.DiscardHandler))
	if err != nil && !errors.Is(err, stop) {
		return unreadable(name, fmt.Errorf("%w; %w", why, err))
	}
	if refused := recovery.AllowNew(handler.StreamStamps{}).Allow(ctx, foreign); refused != nil {
		return fault(name, "restore the registry from a backup, or see docs/recovery.md", "the service refuses to start: %s",
			refused)
	}
	return warning(name, "start the service: it creates the registry. If it has run before, correct "+
		"DATABASE_URL, REGISTRY_SCHEMA or DATABASE_PATH_TEMPLATE", "%s", why)
}

// examineRecovery checks that database and streams belong together, as the service does before it takes requests.
func (n *prober) examineRecovery(ctx context.Context) []Finding {
	const stamps, outcomes = "streams_registry", "outcomes_ledger"
	var streams handler.StreamStamps
	unread := n.request(ctx, func(ctx context.Context) (err error) {
		streams, err = handler.ReadStamps(ctx, n.js)
		return err
	})
	r, err := database.OpenReader(ctx, n.c)
	if unread != nil && err != nil {
		return []Finding{unreadable(stamps, unread)}
	}
	if errors.Is(err, sql.ErrNoRegistry) {
		if refused := recovery.AllowNew(streams).Allow(ctx, nil); refused != nil {
			return []Finding{fault(stamps, "see docs/recovery.md", "the service refuses to start: %s", refused)}
		}
		return nil
	}
	if err != nil { // the checks of the database report it
		return nil
	}
	defer r.Close() //nolint:errcheck // only read
	var found []Finding
	if unread != nil {
		found = append(found, unreadable(stamps, unread))
	} else {
		found = append(found, checkStamps(ctx, n.c, r, streams))
	}
	found = append(found, n.checkNewestOutcomes(ctx, outcomes, r))
	if unread == nil && found[0].Status == Fault { // of two installations nothing agrees
		return found
	}
	return append(found, n.compareStreams(ctx, r)...)
}

// checkStamps checks that registry and streams carry the same id.
func checkStamps(ctx context.Context, c config.Config, r database.Comparable, streams handler.StreamStamps) Finding {
	const name = "streams_registry"
	registry, err := r.Stamp(ctx)
	if err != nil {
		return unreadable(name, err)
	}
	if refused := recovery.CheckStamps(registry, streams); refused != nil {
		return fault(name, "see docs/recovery.md", "the service refuses to start: %s", refused)
	}
	switch {
	case registry.ID == "":
		return warning(name, "start the service once: it gives the registry an id, and the streams too", "the registry has "+
			"no id yet")
	case len(streams.Unstamped) > 0 && c.Manage && !registry.Streams:
		return warning(name, "start the service once: it gives the streams the registry's id", "streams without the "+
			"registry's id: %s", strings.Join(streams.Unstamped, ", "))
	case len(streams.Unstamped) > 0:
		return warning(name, "as an administrator of the account:\n"+handler.StampCommands(registry.ID),
			"streams without the registry's id: %s: another database could serve their requests",
			strings.Join(streams.Unstamped, ", "))
	}
	return ok(name, "registry and streams carry the same id, %s", registry.ID)
}

// checkNewestOutcomes asks what the guard of the service asks.
func (n *prober) checkNewestOutcomes(ctx context.Context, name string, r database.Comparable) Finding {
	err := n.request(ctx, recovery.Guard{JetStream: n.js, Database: r, Log: slog.New(slog.DiscardHandler)}.Check)
	switch {
	case errors.Is(err, handler.ErrRestored):
		return fault(name, "consumer reconcile # changes nothing; docs/recovery.md has what to do in each situation",
			"%s", err)
	case errors.Is(err, sql.ErrNoLedger):
		return warning(name, "start the service once", "%s", err)
	case pipeline.IsOutage(err):
		return unreadable(name, err)
	case err != nil:
		return unreadableByUser(name, "run doctor as a user and a role that may read both", err)
	}
	return ok(name, "the newest outcomes are in the ledger")
}

// checkSequence checks that the durable consumer is not ahead of its stream.
func (n *prober) checkSequence(ctx context.Context, s handler.TopologyStatus) Finding {
	const name = "consumer_sequence"
	if s.Streams[0].Info == nil { // its own check reports it
		return warning(name, "see requests_stream", "unknown: the stream cannot be read")
	}
	err := n.request(ctx, func(ctx context.Context) error { return handler.CheckAhead(ctx, n.js, s) })
	switch {
	case errors.Is(err, handler.ErrRestored):
		return fault(name, "consumer reconcile # changes nothing\nconsumer reconcile --apply", "%s", err)
	case err != nil:
		return unreadable(name, err)
	}
	return ok(name, "the consumer is not ahead of its stream")
}
