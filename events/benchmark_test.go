package events_test

import (
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
)

func benchmarkRequest(b *testing.B) (header map[string][]string, body []byte) {
	b.Helper()
	e, err := events.NewRequested("/billing", "order-1", events.Requested{
		TenantID: "acme", DisplayName: "Acme Inc.", CreatedBy: "billing",
	})
	if err != nil {
		b.Fatal(err)
	}
	h, body, err := events.Encode(e)
	if err != nil {
		b.Fatal(err)
	}
	return h, body
}

func BenchmarkDecodeStructured(b *testing.B) {
	header, body := benchmarkRequest(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := events.Decode(header, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := events.RequestedFrom(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBinary(b *testing.B) {
	header := map[string][]string{
		"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {"/billing"}, "ce-id": {"order-1"},
		"ce-time": {"2026-01-02T03:04:05Z"}, "ce-datacontenttype": {"application/json"},
	}
	body := []byte(`{"tenant_id":"acme","display_name":"Acme Inc.","created_by":"billing"}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := events.Decode(header, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := events.RequestedFrom(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeOutcome(b *testing.B) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	data := events.Provisioned{
		TenantID: "acme", DisplayName: "Acme Inc.", IsolationStrategy: events.IsolationSchema, SchemaName: "tenant_acme",
		CreatedAt: now, CreatedBy: "billing", Request: events.Request{Source: "/billing", ID: "order-1"},
		Attempts: 1, Tables: 11, Indexes: 18, DurationMS: 25,
	}
	for number, name := range []string{"a", "b", "c", "d", "e"} {
		data.Steps = append(data.Steps, events.StepTiming{Step: events.Step{Number: number + 1, Name: name}, DurationMS: 5})
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := events.NewProvisioned(events.Outcome{
			ID: events.OutcomeID("/billing", "order-1", 0, events.TypeProvisioned), Source: "/tenant-provisioner", Time: now,
		}, data)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := events.Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}
