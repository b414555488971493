package pipeline

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Names of the fields of W3C Trace Context, as CloudEvents extensions.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// traceStep begins the span of a step and returns the function that ends it.
func (a *Attempt) traceStep(ctx context.Context, step Step) (context.Context, func(error)) {
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

// captureTrace keeps the span in which the request is decided, if it is traced. The outcome carries it, so that a
// subscriber can continue the trace. Without it, the outcome carries the request's own trace context.
func (j *Job) captureTrace(ctx context.Context) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() || span.IsRemote() || j.trace != nil { // remote: the request's own, because nothing is traced here
		return
	}
	j.trace = propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, j.trace)
	j.log = j.log.With("trace_id", span.TraceID().String())
}
