package pipeline

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Names of W3C Trace Context, as CloudEvents extensions have them.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// traceStep begins the span of a step. The returned function ends it. Without a tracer nothing is done.
func (a *Attempt) traceStep(ctx context.Context, step Step) (context.Context, func(error)) {
	if a.p.Tracer == nil {
		return ctx, func(error) {}
	}
	ctx, span := a.p.Tracer.Start(ctx, step.Name, trace.WithAttributes(
		attribute.Int("tenant_provisioner.step", a.step),
		attribute.Int("tenant_provisioner.attempt", a.claim.Attempt),
		attribute.String("tenant_provisioner.tenant_id", safeTenantID(a.data.TenantID)),
	))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// captureTrace notes the span in which the request is decided, if it is traced. Its outcome carries it, so that who
// receives that goes on from there; else the request's own trace context is passed on.
func (j *Job) captureTrace(ctx context.Context) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() || j.trace != nil {
		return
	}
	j.trace = propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, j.trace)
	j.log = j.log.With("trace_id", span.TraceID().String())
}
