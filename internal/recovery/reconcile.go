package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
)

// Reconciler compares database and streams, and repairs what one of them has lost from what the other still has.
type Reconciler struct {
	Config    config.Config
	JetStream jetstream.JetStream
	Log       *slog.Logger
	Options   Options
}

// Plan is the result of a comparison.
type Plan struct {
	Findings []Finding // in the order in which they are repaired
	// RequestsUntil is when TENANT_REQUESTS stored its last message, or was created. If the stream was restored or made
	// again, publishers must send again what they sent later.
	RequestsUntil time.Time

	lacking  int            // number of findings that the guard reports, also of those that Options do not select
	lackFrom uint64         // the first of their outcomes
	read     sql.Checkpoint // the last outcome that was compared
}

// Plan compares and changes nothing. If there is no registry, it compares with an empty one. One of an earlier version
// cannot be compared.
func (r *Reconciler) Plan(ctx context.Context) (p Plan, err error) {
	db, err := database.OpenReader(ctx, r.Config)
	if errors.Is(err, sql.ErrNoRegistry) {
		return r.plan(ctx, nil)
	}
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err = r.plan(ctx, db)
	if errors.Is(err, sql.ErrNoLedger) {
		err = fmt.Errorf("%w. consumer reconcile --apply does it too", err)
	}
	return p, err
}

func (r *Reconciler) plan(ctx context.Context, db database.Reader) (Plan, error) {
	s, err := readState(ctx, r.Config, r.JetStream, db)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{RequestsUntil: s.requests.last, read: s.outcomes.read}
	for _, f := range plan(s) {
		if f.unrecorded {
			if p.lacking++; p.lacking == 1 || f.outcome < p.lackFrom {
				p.lackFrom = f.outcome
			}
		}
		if !r.Options.selects(&f) {
			continue
		}
		if db != nil {
			if err := complete(ctx, db, &f); err != nil {
				return Plan{}, err
			}
			if accepted, err := isAccepted(ctx, db, f.acceptedAs()); err != nil {
				return Plan{}, err
			} else if accepted {
				continue
			}
		}
		r.Options.choose(&f)
		p.Findings = append(p.Findings, f)
	}
	return p, nil
}

// complete reads from the ledger which request a finding is about, if no stream has it.
func complete(ctx context.Context, db database.Reader, f *Finding) error {
	if f.Request.Source == "" && f.Request.Key != "" {
		row, err := db.Request(ctx, f.Request.Key)
		if err != nil {
			return err
		}
		f.Request.Source, f.Request.ID = row.Source, row.ID
	}
	if f.running { // it is accepted under the id of the outcome that it would have had
		f.OutcomeID = events.OutcomeID(f.Request.Source, f.Request.ID, f.Replay, events.TypeProvisioned)
	}
	return nil
}

// Apply compares and repairs, while the service takes no requests. It calls begun once it has compared, and done after
// each finding, which is then marked as done or left. Findings that an error or the end of ctx prevents are not passed
// to done. It is safe to interrupt and to repeat.
func (r *Reconciler) Apply(ctx context.Context, begun func(Plan), done func(Finding)) (err error) {
	if err := r.openRegistry(ctx, false); err != nil {
		return err
	}
	stamps, err := r.Stamps(ctx)
	if err != nil {
		return err
	}
	if stamps.Refused != nil {
		return stamps.Refused
	}
	p, err := r.Plan(ctx)
	if err != nil {
		return err
	}
	if !p.hasWork() {
		begun(p)
		for _, f := range p.Findings {
			done(f)
		}
		return nil
	}
	held, release, err := holdIntake(ctx, r.JetStream, renewEvery, r.Log)
	if err != nil {
		return err
	}
	if err = r.applyHeld(held, begun, done); err != nil {
		err = cmp.Or(context.Cause(held), err)
	}
	return errors.Join(err, release())
}

// applyHeld compares and repairs until ctx ends, which it does when the service may take requests again.
func (r *Reconciler) applyHeld(ctx context.Context, begun func(Plan), done func(Finding)) (err error) {
	if err := r.openRegistry(ctx, true); err != nil {
		return err
	}
	p, err := r.Plan(ctx) // again: the service may have changed something before it was held
	if err != nil {
		return err
	}
	begun(p)
	db, err := database.Open(ctx, r.Config, database.NewRegistry{}, nil, r.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// As the service does before its first tenant: what is made again, and without the built-in definition all else, is
	// compared with what the scripts make.
	isRecreation := func(f Finding) bool { return f.Action == ActionRecreate }
	if r.Config.OwnDefinition() || slices.ContainsFunc(p.Findings, isRecreation) {
		if err := database.CheckFurther(ctx, r.Config, db, r.Log); err != nil {
			return err
		}
	}
	if err := rewind(ctx, db, p); err != nil {
		return err
	}
	report := func(f Finding) {
		if f.unrecorded && f.Done {
			p.lacking--
		}
		done(f)
	}
	a := &applier{
		js: r.JetStream, db: db, onPostgres: r.Config.OnPostgres(), accept: r.Options.Accept,
	}
	for chunk := range inChunks(p.Findings) {
		if err := a.applyAll(ctx, chunk, r.Config.Concurrency, report); err != nil {
			return err
		}
	}
	return forward(ctx, db, p)
}

// maxChunk is how many findings are repaired before they are reported.
const maxChunk = 64

// inChunks splits findings into chunks of one kind: those of one kind do not depend on each other.
func inChunks(findings []Finding) iter.Seq[[]Finding] {
	return func(yield func([]Finding) bool) {
		for begin := 0; begin < len(findings); {
			end := begin + 1
			for end < len(findings) && end-begin < maxChunk && findings[end].Kind == findings[begin].Kind {
				end++
			}
			if !yield(findings[begin:end]) {
				return
			}
			begin = end
		}
	}
}

// applyAll carries out findings, several at once, and reports in order those that are done or left.
func (a *applier) applyAll(ctx context.Context, chunk []Finding, workers int, done func(Finding)) error {
	settled := make([]bool, len(chunk))
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(max(workers, 1))
	for i := range chunk {
		group.Go(func() error {
			if working.Err() != nil {
				return context.Cause(working)
			}
			// One that has begun is finished after a signal to stop; each of its steps has a timeout.
			err := a.apply(context.WithoutCancel(ctx), &chunk[i])
			settled[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	for i, f := range chunk {
		if settled[i] {
			done(f)
		}
	}
	return err
}

// openRegistry migrates a registry of an earlier version, as the start of the service does. If the registry is missing,
// and create is set, it creates one.
func (r *Reconciler) openRegistry(ctx context.Context, create bool) error {
	switch err := r.readRegistry(ctx); {
	case errors.Is(err, sql.ErrNoLedger):
	case errors.Is(err, sql.ErrNoRegistry) && create:
	case errors.Is(err, sql.ErrNoRegistry):
		return nil
	default:
		return err
	}
	// Not open together with a reader: see sqlite.Reader.
	streams, err := handler.ReadStamps(ctx, r.JetStream)
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, r.Config, AllowNew(streams), nil, r.Log)
	if err != nil {
		return err
	}
	return db.Close()
}

// readRegistry returns an error that wraps [sql.ErrNoRegistry] or, for a registry of an earlier version,
// [sql.ErrNoLedger].
func (r *Reconciler) readRegistry(ctx context.Context) (err error) {
	db, err := database.OpenReader(ctx, r.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.Entries(ctx, "", 1)
	return err
}

// hasWork reports whether something can be repaired or accepted.
func (p *Plan) hasWork() bool {
	for _, f := range p.Findings {
		if f.Action != "" {
			return true
		}
	}
	return false
}
