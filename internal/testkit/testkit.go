// Package testkit has the assertions and waits that the tests of several packages share.
package testkit

import (
	"context"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/porttest"
)

// Patience limits every wait of a test. Only a failing test waits that long, so it allows for a machine with ten times
// the load.
const Patience = 3 * time.Minute

// poll is the time between two evaluations of a condition.
const poll = 10 * time.Millisecond

// Must ends the test on an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Equal asserts that two values are equal.
func Equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Contains asserts that the text has every part.
func Contains(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not contain %q:\n%s", what, part, Tail(text))
		}
	}
}

// Lacks asserts that the text has none of the parts.
func Lacks(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%s contains %q:\n%s", what, part, Tail(text))
		}
	}
}

// Tail is the end of a text that is too long for a test report.
func Tail(text string) string {
	const most = 8000
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}

// Eventually polls until the condition holds, within [Patience].
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	Within(t, Patience, what, condition)
}

// Within is Eventually with a limit of its own.
func Within(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// Receive waits for a value, within [Patience].
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		t.Fatalf("not within %s: %s", Patience, what)
		panic("unreachable")
	}
}

// FreeAddr is an address of this machine on which no process listens.
func FreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := porttest.Free(t.Context())
	Must(t, err)
	return addr.String()
}
