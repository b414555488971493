package handler

import (
	"context"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Spans have names and attributes of OpenTelemetry's semantic conventions for messaging:
// https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/

// traceDelivery starts the span of a delivery, which continues the request's trace if it has one. The returned function
// ends it.
func (h *Handler) traceDelivery(
	ctx context.Context, d delivery, e event.Event,
) (context.Context, func(pipeline.Decision, error)) {
	ctx, span := h.Tracer.Start(traceOf(ctx, e), "process "+events.TypeRequested,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.operation.name", "process"),
			attribute.String("messaging.destination.name", d.stream),
			attribute.String("messaging.consumer.group.name", events.DurableConsumer),
			attribute.String("messaging.message.id", e.ID()),
			attribute.String("cloudevents.event_source", e.Source()),
			attribute.Int64("tenant_provisioner.sequence", int64(d.sequence)), //nolint:gosec // far below the limit
			attribute.Int("tenant_provisioner.delivery", d.deliveries),
			attribute.Int("tenant_provisioner.replay", d.replay),
		))
	return ctx, func(r pipeline.Decision, err error) {
		span.SetAttributes(attribute.String("tenant_provisioner.verdict", r.Verdict.String()))
		if r.Decided() {
			span.SetAttributes(
				attribute.String("tenant_provisioner.outcome.type", r.Outcome.Type),
				attribute.String("tenant_provisioner.outcome.id", r.Outcome.ID),
			)
		}
		switch {
		case err != nil:
			span.SetStatus(codes.Error, err.Error())
		case r.Err != nil:
			span.SetStatus(codes.Error, r.Err.Error())
		case r.Verdict == pipeline.Terminate:
			span.SetStatus(codes.Error, "the request has failed")
		}
		span.End()
	}
}

// traceOutcome starts the span of publishing an outcome. It is linked to the span that decided the outcome, which may
// belong to an earlier delivery or another process.
func (h *Handler) traceOutcome(ctx context.Context, o pipeline.Outcome) (context.Context, func(error)) {
	ctx, span := h.Tracer.Start(ctx, "publish "+o.Type,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.operation.name", "publish"),
			attribute.String("messaging.destination.name", o.Type),
			attribute.String("messaging.message.id", o.ID),
		))
	if span.IsRecording() {
		if decided, err := events.Decode(outcomeHeader(o), o.Body); err == nil {
			if link := trace.SpanContextFromContext(traceOf(context.Background(), decided)); link.IsValid() {
				span.AddLink(trace.Link{SpanContext: link})
			}
		}
	}
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// maxTraceState is the maximum length of a tracestate that is passed on, in bytes: each span and the outcome carry it.
// W3C Trace Context requires at least 512 and allows dropping a longer one.
const maxTraceState = 1024

// traceOf adds the trace context that an event carries, if it is valid.
func traceOf(ctx context.Context, e event.Event) context.Context {
	carrier := propagation.MapCarrier{}
	for _, name := range []string{"traceparent", "tracestate"} {
		text, err := types.Format(e.Extensions()[name])
		if err == nil && (name != "tracestate" || len(text) <= maxTraceState) {
			carrier[name] = text
		}
	}
	return propagation.TraceContext{}.Extract(ctx, carrier)
}
