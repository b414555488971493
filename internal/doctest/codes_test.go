package doctest

import (
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// causeCodes returns the cause codes of package events, in their order.
func causeCodes() (codes []string) {
	for _, code := range events.CauseCodes() {
		codes = append(codes, string(code))
	}
	return codes
}

// encoded returns an event in structured mode, as a tree. Equal events have equal trees.
func encoded(t *testing.T, e event.Event) any {
	t.Helper()
	_, body, err := events.Encode(e)
	testkit.Must(t, err)
	return parse(t, string(body))
}
