package telemetry

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// maxSpanText is the longest text of a span: in bytes for a status and an error, in characters for an attribute, unless
// OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT sets another limit. OpenTelemetry's default is no limit, and a request of
// 900 KB has about 30 spans.
const maxSpanText = 1024

// spanLimits are OpenTelemetry's limits, with one for attributes. They apply when a span is created, so that spans that
// wait for their export stay small too.
func spanLimits() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits() // reads the environment
	if limits.AttributeValueLengthLimit <= 0 {
		limits.AttributeValueLengthLimit = maxSpanText
	}
	return limits
}

// boundedSpans bounds the texts for which OpenTelemetry has no limit: those of statuses and of recorded errors, which
// the database libraries set too.
type boundedSpans struct{ sdktrace.SpanExporter }

// ExportSpans implements [sdktrace.SpanExporter].
func (b boundedSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	bounded := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		bounded[i] = boundedSpan{span}
	}
	return b.SpanExporter.ExportSpans(ctx, bounded)
}

type boundedSpan struct{ sdktrace.ReadOnlySpan }

// Name implements [sdktrace.ReadOnlySpan].
func (b boundedSpan) Name() string { return Bound(b.ReadOnlySpan.Name(), maxSpanText) }

// Status implements [sdktrace.ReadOnlySpan].
func (b boundedSpan) Status() sdktrace.Status {
	status := b.ReadOnlySpan.Status()
	status.Description = Bound(status.Description, maxSpanText)
	return status
}

// Events implements [sdktrace.ReadOnlySpan].
func (b boundedSpan) Events() []sdktrace.Event {
	events := slices.Clone(b.ReadOnlySpan.Events())
	for i := range events {
		events[i].Name = Bound(events[i].Name, maxSpanText)
		events[i].Attributes = slices.Clone(events[i].Attributes)
		for j, a := range events[i].Attributes {
			if a.Value.Type() == attribute.STRING {
				events[i].Attributes[j].Value = attribute.StringValue(Bound(a.Value.AsString(), maxSpanText))
			}
		}
	}
	return events
}
