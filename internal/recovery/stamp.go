package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
)

// CheckStamps decides whether registry and streams belong together. It returns nil if they do, or if neither has been
// given an id yet. Streams that do not exist are created with the registry's id, and are no reason.
func CheckStamps(registry sql.Stamp, streams handler.StreamStamps) error {
	switch {
	case streams.ID == registry.ID, streams.None():
		return nil
	case streams.ID != "":
		return &handler.OtherRegistryError{Streams: streams.ID, Database: registry.ID}
	case registry.Streams:
		return fmt.Errorf("the streams %s carry no registry's id, and those of this database do (%s): they were restored "+
			"from a copy of an earlier version, made by hand, or belong to another installation. If they are this database's: "+
			"consumer reconcile --accept-streams", strings.Join(streams.Unstamped, ", "), registry.ID)
	}
	return nil
}

// AllowNew refuses to create a registry where streams or boundaries show that one was lost.
func AllowNew(streams handler.StreamStamps) database.NewRegistry {
	return database.NewRegistry{Allow: func(_ context.Context, foreign []string) error {
		const otherwise = "Correct DATABASE_URL, REGISTRY_SCHEMA or DATABASE_PATH_TEMPLATE if they name the wrong place, " +
			"give another database streams of its own (NATS_URL, or NATS_EMBEDDED_DIR), or restore the registry from a backup. "
		switch {
		case streams.ID != "":
			return fmt.Errorf("the registry is missing, and the streams belong to a registry (%s): it is lost, or elsewhere. "+
				"%sTo create it again from the streams: consumer reconcile --accept-streams --apply. To start with an "+
				"empty registry: consumer reconcile --accept-database", streams.ID, otherwise)
		case len(foreign) > 0:
			return fmt.Errorf("the registry is missing, and tenants of a registry that is not in this database are here: %s. "+
				"%sTo create an empty registry beside them: consumer reconcile --accept-database", strings.Join(foreign, ", "),
				otherwise)
		}
		return nil
	}}
}

// Accept is the side that is right where registry and streams do not carry the same id.
type Accept int

// The sides. AcceptStreams: the registry gets the id of the streams. AcceptDatabase: the streams get the id of the
// registry, and belong to this database from now on.
const (
	AcceptStreams Accept = iota + 1
	AcceptDatabase
)

// ErrNothingToBind means that no stream exists yet. The first start of the service creates them with the registry's id.
var ErrNothingToBind = errors.New("no stream exists yet, so there is nothing to bind")

// Bind gives both sides the id of the one that is right. A registry that is missing is created. It returns
// [ErrNothingToBind] if the database is right, and there are no streams.
func (r *Reconciler) Bind(ctx context.Context, right Accept) (err error) {
	streams, err := handler.ReadStamps(ctx, r.JetStream)
	none := err == nil && streams.None()
	if right == AcceptStreams {
		if none {
			err = errors.New("no stream exists yet, so there is nothing to accept: correct NATS_URL if it names the wrong " +
				"server, or start the service, which creates the streams with the registry's id")
		}
		if err != nil {
			return err
		}
	}
	missing := database.NewRegistry{}
	if right == AcceptStreams {
		missing.ID = streams.ID
	}
	db, err := database.Open(ctx, r.Config, missing, nil, r.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if none { // the first start binds them; that of a copy gives it an id of its own
		return ErrNothingToBind
	}
	registry, err := db.Stamp(ctx)
	if err != nil {
		return err
	}
	id := registry.ID
	if right == AcceptStreams && streams.ID != "" {
		id = streams.ID
	}
	// After an interruption between the two, the ids differ as before.
	if err := handler.WriteStamps(ctx, r.JetStream, id); err != nil {
		return fmt.Errorf("give the streams the id: %w; as an administrator of the account:\n%s", err,
			handler.StampCommands(id))
	}
	return db.SetStamp(ctx, id)
}

// Stamps are the ids that registry and streams carry.
type Stamps struct {
	Registry string // empty: there is no registry, or one of an earlier version
	Streams  string // empty: no stream carries one
	CopyOf   string // see [sql.Stamp]
	Refused  error  // why they do not belong together, so that nothing must be repaired; nil: they do
}

// Stamps reads the ids, and decides whether they belong together.
func (r *Reconciler) Stamps(ctx context.Context) (s Stamps, err error) {
	streams, err := handler.ReadStamps(ctx, r.JetStream)
	if err != nil {
		return s, err
	}
	s.Streams = streams.ID
	db, err := database.OpenReader(ctx, r.Config)
	if errors.Is(err, sql.ErrNoRegistry) {
		s.Refused = AllowNew(streams).Allow(ctx, nil)
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	registry, err := db.Stamp(ctx)
	if err != nil {
		return s, err
	}
	s.Registry, s.CopyOf = registry.ID, registry.CopyOf
	if s.CopyOf != "" && !streams.None() {
		s.Refused = copyError(registry)
	} else {
		s.Refused = CheckStamps(registry, streams)
	}
	return s, nil
}

// copyError is the error for a database that is a copy of the one that the streams belong to.
func copyError(registry sql.Stamp) error {
	return fmt.Errorf("%w: this database is a copy: the streams belong to %s. If it was restored from a backup, or the "+
		"service has moved here, and the other database is no longer in use: consumer reconcile --accept-database. If not, "+
		"correct DATABASE_URL or NATS_URL", handler.ErrRestored, registry.CopyOf)
}

// BindStreams gives the streams and the registry the same id, at the first start of a version with this id. Later it
// only checks that they have it. If manage is false, or the user may not change streams, the streams stay as they are,
// and the log has the commands for an administrator.
func BindStreams(
	ctx context.Context, js jetstream.JetStream, db database.Recovery, manage bool, log *slog.Logger,
) (registryID string, err error) {
	registry, err := db.Stamp(ctx)
	if err != nil {
		return "", err
	}
	streams, err := handler.ReadStamps(ctx, js) // now: since the start read them, a replica may have created some
	if err == nil {
		err = CheckStamps(registry, streams)
	}
	if err != nil {
		return "", err
	}
	id := registry.ID
	switch {
	case streams.None() && registry.CopyOf != "":
		id = uuid.NewString() // with streams of its own a copy is a registry of its own
		log.InfoContext(ctx, "this database is a copy; its registry gets an id of its own", "copy_of", registry.CopyOf)
	case registry.CopyOf != "": // the guard reports it
		return id, nil
	}
	if len(streams.Unstamped) > 0 {
		if manage {
			err = handler.WriteStamps(ctx, js, registry.ID)
		}
		if !manage || err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			log.WarnContext(ctx, "the streams do not carry the registry's id, so that another database could serve their "+
				"requests; an administrator can add it", "error", err,
				"commands", strings.Split(handler.StampCommands(registry.ID), "\n"))
			return registry.ID, nil
		}
		log.InfoContext(ctx, "the streams carry the registry's id now", "registry", registry.ID)
	}
	if registry.Bound && id == registry.ID { // a start writes nothing: commits may wait for a standby
		return id, nil
	}
	if err := db.SetStamp(ctx, id); err != nil {
		return "", fmt.Errorf("record that the streams carry the registry's id: %w", err)
	}
	return id, nil
}
