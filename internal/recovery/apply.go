package recovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// applier carries out findings.
type applier struct {
	js         jetstream.JetStream
	db         database.Store
	onPostgres bool
	accept     bool
}

// leftError is why a finding is left. Any other error ends the run.
type leftError struct{ error }

func (e leftError) Unwrap() error { return e.error }

func leftf(format string, args ...any) error { return leftError{fmt.Errorf(format, args...)} }

// apply carries out a finding, and marks it as done or left. An error means that it is neither: a server is
// unavailable, or ctx has ended.
func (a *applier) apply(ctx context.Context, f *Finding) error {
	if f.Action != "" && f.Action != ActionAccept {
		err := a.act(ctx, f)
		if err == nil {
			f.Done = true
			return nil
		}
		left, ok := errors.AsType[leftError](err)
		if !ok {
			return err
		}
		f.Action, f.Left = "", left.Error()
	}
	if !a.accept || !f.isAcceptable() {
		return nil
	}
	err := a.db.Accept(ctx, []sql.AcceptedOutcome{{
		OutcomeID: f.acceptedAs(), Key: f.Request.Key, TenantID: safeTenant(f.Tenant),
		Reason: string(f.Kind) + ": " + f.Problem,
	}})
	if err != nil {
		return fmt.Errorf("record outcome %s as accepted: %w", f.OutcomeID, err)
	}
	crash.Point("outcome accepted", f.Tenant)
	f.Action, f.Done = ActionAccept, true
	return nil
}

func (a *applier) act(ctx context.Context, f *Finding) error {
	switch f.Action {
	case ActionRestore, ActionRecreate:
		return a.restore(ctx, f)
	case ActionPublishDeadLetter:
		return a.publishDeadLetter(ctx, f)
	case ActionPublishOutcome:
		return a.publishOutcome(ctx, f)
	case ActionPublishRequest:
		return a.publishRequest(ctx, f)
	case ActionRecreateConsumer:
		if err := handler.RecreateConsumer(ctx, a.js); err != nil {
			return err
		}
		crash.Point("consumer recreated", "")
	case ActionAccept:
	}
	return nil
}

// restore writes ledger and registry from the published outcome.
func (a *applier) restore(ctx context.Context, f *Finding) error {
	msg, err := a.message(ctx, events.StreamEvents, f.outcome)
	if err != nil {
		return err
	}
	r, err := restoration(msg, a.onPostgres)
	if err != nil {
		return leftf("its outcome cannot be read again: %w", err)
	}
	if r.Outcome.ID != f.OutcomeID {
		return leftf("stream %s has changed in the meantime; repeat the command", events.StreamEvents)
	}
	r.Recreate = f.Action == ActionRecreate
	err = a.db.Restore(ctx, r)
	fault, isFault := errors.AsType[*pipeline.Fault](err)
	switch {
	case err == nil:
		crash.Point("request restored", f.Tenant)
		return nil
	case errors.Is(err, sql.ErrNoBoundary):
		return leftf("%w; --recreate builds it again, empty", err)
	case errors.Is(err, sql.ErrOtherRequest), isFault && fault.Class == pipeline.Permanent:
		return leftError{err}
	case isFault && fault.Class == pipeline.Transient && ctx.Err() == nil:
		return leftf("%w; repeat the command", err)
	}
	return fmt.Errorf("restore tenant %s: %w", events.Quote(f.Tenant), err)
}

// restoration returns what is written to ledger and registry for a published outcome.
func restoration(msg *jetstream.RawStreamMsg, onPostgres bool) (r sql.Restoration, err error) {
	e, err := events.Decode(msg.Header, msg.Data)
	if err != nil {
		return r, err
	}
	o, ok := outcomeOf(e)
	if !ok || o.key == "" {
		return r, errors.New("it is not the outcome of a request")
	}
	r = sql.Restoration{
		Key: o.key, Source: o.request.Source, RequestID: o.request.ID, TenantID: safeTenant(o.tenant), Replay: o.replay,
		At:      e.Time(),
		Outcome: pipeline.Outcome{ID: e.ID(), Type: e.Type(), Body: msg.Data},
	}
	if !o.provisioned {
		data, err := events.FailedFrom(e)
		failure := pipeline.Failure{Cause: data.Cause}
		r.Attempts, r.Step, r.Cause, r.Text = data.Attempts, data.Step.Name, data.Cause.Code, failure.Text()
		return r, err
	}
	data, err := events.ProvisionedFrom(e)
	r.Attempts = data.Attempts
	r.Tenant = &pipeline.Tenant{
		ID: data.TenantID, DisplayName: data.DisplayName, IsolationStrategy: data.IsolationStrategy,
		CreatedAt: data.CreatedAt, CreatedBy: data.CreatedBy, Boundary: boundaryOf(o.boundary, onPostgres),
		Plan: pipeline.Plan{Name: data.Plan, Limits: data.PlanLimits}, Scripts: data.Scripts,
		Definition: data.Definition,
	}
	return r, err
}

// boundaryOf returns the boundary with that name.
func boundaryOf(name string, onPostgres bool) pipeline.Boundary {
	if onPostgres {
		return pipeline.Boundary{SchemaName: name}
	}
	return pipeline.Boundary{DatabasePath: name}
}

// safeTenant is the tenant's id for the ledger: an invalid one stays out of it.
func safeTenant(id string) string {
	if events.ValidateTenantID(id) != nil {
		return ""
	}
	return id
}

// recorded returns the ledger's outcome of the finding's request, which must still be the one that was planned with.
func (a *applier) recorded(ctx context.Context, f *Finding) (pipeline.Outcome, error) {
	o, err := a.db.Recorded(ctx, f.Request.Key)
	if err == nil && o.ID != f.OutcomeID {
		err = leftf("the ledger does not have this outcome; repeat the command")
	}
	return o, err
}

// publishDeadLetter makes the dead letter again from the message that failed.
func (a *applier) publishDeadLetter(ctx context.Context, f *Finding) error {
	o, err := a.recorded(ctx, f)
	if err != nil {
		return err
	}
	failed := f.messages[0]
	for _, m := range f.messages[1:] { // copies of the request
		if handler.IsDecidedBy(o, m.sequence, m.stored) {
			failed = m
		}
	}
	msg, err := a.request(ctx, failed)
	if err != nil {
		return err
	}
	delivery, stream, err := handler.RepublishDeadLetter(ctx, a.js, msg, o)
	if errors.Is(err, handler.ErrUnreplayable) {
		return leftError{err}
	}
	if err != nil {
		return err
	}
	crash.Point("dead letter restored", f.Tenant)
	if err := a.db.DeadLetterConfirmed(ctx, f.Request.Key, o.ID, delivery, stream); err != nil {
		return err
	}
	crash.Point("dead letter recorded", f.Tenant)
	return nil
}

func (a *applier) publishOutcome(ctx context.Context, f *Finding) error {
	o, err := a.recorded(ctx, f)
	if err != nil {
		return err
	}
	if err := handler.RepublishOutcome(ctx, a.js, o); err != nil {
		return err
	}
	crash.Point("outcome republished", f.Tenant)
	return nil
}

func (a *applier) publishRequest(ctx context.Context, f *Finding) error {
	msg, err := a.request(ctx, f.messages[0])
	if err != nil {
		return err
	}
	err = handler.RepublishRequest(ctx, a.js, msg)
	if errors.Is(err, handler.ErrUnreplayable) {
		return leftError{err}
	}
	if err == nil {
		crash.Point("request republished", f.Tenant)
	}
	return err
}

// request reads a message of TENANT_REQUESTS.
func (a *applier) request(ctx context.Context, ref storedRef) (*jetstream.RawStreamMsg, error) {
	msg, err := a.message(ctx, events.StreamRequests, ref.sequence)
	if err == nil && !msg.Time.Equal(ref.stored) {
		err = leftf("stream %s has changed in the meantime; repeat the command", events.StreamRequests)
	}
	return msg, err
}

func (a *applier) message(ctx context.Context, stream string, sequence uint64) (*jetstream.RawStreamMsg, error) {
	msg, err := handler.GetMessage(ctx, a.js, stream, handler.StoredMessage{Sequence: sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, leftf("message %d has left stream %s in the meantime; repeat the command", sequence, stream)
	}
	if err != nil {
		return nil, fmt.Errorf("read message %d of stream %s: %w", sequence, stream,
			handler.ExplainAPIPermission(a.js, err))
	}
	return msg, nil
}
