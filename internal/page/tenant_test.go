package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// find searches for a tenant.
func (b *bundle) find(id string) string {
	b.t.Helper()
	w := b.get("/tenant?" + url.Values{"id": {id}}.Encode())
	testkit.Equal(b.t, "code", w.Code, http.StatusOK)
	testkit.Equal(b.t, "Cache-Control", w.Header().Get("Cache-Control"), "no-store")
	return w.Body.String()
}

// knows lets the database know a tenant.
func (b *bundle) knows(tenant Tenant) {
	b.LookUp(func(context.Context, string, int) (Tenant, error) { return tenant, nil })
}

func requestIn(state, id string) Request {
	return Request{
		Source: "/billing", ID: id, Key: events.RequestKey("/billing", id), State: state, Attempts: 2,
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func TestTenantIsFound(t *testing.T) {
	b := newConnected(t)
	failed, removed, done := requestIn("failed", "order-1"), requestIn("failed", "order-2"), requestIn("provisioned", "order-3")
	failed.Cause, failed.Step, failed.Error, failed.Replay = "SCHEMA_INVALID", "validate_schema", "no column\npath", 1
	done.OutcomeID = "0b5f8a52-7e3e-5c42-9d3e-000000000001"
	odd := requestIn("running", "order 4; reboot")
	b.knows(Tenant{
		ID: "acme", DisplayName: "Acme Inc.", Strategy: "schema", Boundary: "tenant_acme",
		Plan: "free", MaxRows: 100_000, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Requests: []Request{odd, done, removed, failed},
	})
	b.publishDeadLetter(failed.Key, "SCHEMA_INVALID", 0)
	html := b.find(" acme ")
	testkit.Contains(t, "the page", html, "<bdi>acme</bdi>", "✓ registered", "<bdi>Acme Inc.</bdi>", "<bdi>tenant_acme</bdi>",
		"<bdi>free</bdi>, at most 100,000 rows</dd>", "2026-01-02T03:04:05Z",
		"<code>consumer tenants show acme</code>", "<code>consumer tenants verify acme</code>",
		"<code>consumer requests list --tenant=acme</code>", "<code>consumer dead-letters list --tenant=acme</code>",
		"<code>consumer requests show /billing order-1</code>", "✗ <bdi>SCHEMA_INVALID</bdi>", "<bdi>no column · path</bdi>", "replay 1",
		"<code>consumer dead-letters show "+failed.Key[:12]+"</code>", "<code>consumer dead-letters replay "+failed.Key[:12]+" --dry-run</code>",
		"no dead letter: replayed or removed", "✓ provisioned", done.OutcomeID, "… running", "source and id need quotes in a shell",
		`value="acme"`, "<title>acme · Tenant provisioner</title>")
	testkit.Lacks(t, "the page", html, " bytes", "not available", "No tenant", removed.Key[:12], "requests show /billing order 4", "only the latest", "<script")

	// A search changes nothing, and leaves nothing on the server.
	stream, err := b.js.Stream(t.Context(), events.StreamDeadLetters)
	testkit.Must(t, err)
	testkit.Equal(t, "consumers", stream.CachedInfo().State.Consumers, 0)

	// Without NATS the database's part is there.
	b.server.Shutdown()
	testkit.Eventually(t, "the connection is lost", func() bool { return !b.js.Conn().IsConnected() })
	html = b.find("acme")
	testkit.Contains(t, "the page", html, "✓ registered", "⚠ Dead letters are not available:", "there is no connection to NATS")
	testkit.Lacks(t, "the page", html, "no dead letter: replayed or removed")
}

func TestTenantIsNotFound(t *testing.T) {
	b := newBundle(t)
	b.knows(Tenant{})
	testkit.Contains(t, "the page", b.find("acme"), "✗ No tenant <bdi>acme</bdi> is registered.", "The ledger has no request for this id",
		"<code>consumer tenants list --search=acme</code>", "<code>consumer dead-letters list --tenant=acme</code>")
	testkit.Lacks(t, "the page", b.find("acme"), "differs only in case", "tenants show")
	b.knows(Tenant{ID: "Acme", DisplayName: "Acme Inc."})
	html := b.find("acme")
	testkit.Contains(t, "the page", html, "✗ No tenant <bdi>acme</bdi> is registered.",
		`It differs only in case from <a href="tenant?id=Acme"><bdi>Acme</bdi></a>, which is.`)
	testkit.Lacks(t, "the page", html, "✓ registered", "Acme Inc.")
	b.knows(Tenant{Requests: make([]Request, maxRequests)})
	testkit.Contains(t, "the page", b.find("acme"), "only the latest 20")
	testkit.Contains(t, "the page without an id", b.get("/tenant").Body.String(), "Enter the id of a tenant", `value=""`)
	testkit.Contains(t, "the page with a blank id", b.find("  "), "Enter the id of a tenant")
	// No command takes such an id for a flag.
	testkit.Contains(t, "the page", b.find("-h"), "list --search=-h</code>", "--tenant=-h</code>")
	b.knows(Tenant{ID: "-h"})
	testkit.Contains(t, "the page", b.find("-h"), "<code>consumer tenants show -- -h</code>")
}

// While the database is unavailable the page says so, within its timeout, and few searches wait for it.
func TestTenantWhileTheDatabaseIsUnavailable(t *testing.T) {
	b := newBundle(t)
	testkit.Contains(t, "the page", b.find("acme"), "⚠ Registry and ledger are not available:", "the database is not open yet")
	b.LookUp(func(context.Context, string, int) (Tenant, error) { return Tenant{}, errDown })
	html := b.find("acme")
	testkit.Contains(t, "the page", html, "⚠ Registry and ledger are not available:", "the database is down", `value="acme"`)
	testkit.Lacks(t, "the page", html, "No tenant")

	b.timeout = 10 * time.Millisecond
	b.LookUp(func(ctx context.Context, _ string, _ int) (Tenant, error) {
		<-ctx.Done()
		return Tenant{}, context.Cause(ctx)
	})
	testkit.Contains(t, "the page", b.find("acme"), errSlowDatabase.Error())
	// Also where the driver does not return when its context ends.
	proceed := make(chan struct{})
	b.LookUp(func(context.Context, string, int) (Tenant, error) {
		<-proceed
		return Tenant{}, errors.New("late")
	})
	for range maxSearches {
		testkit.Contains(t, "the page", b.find("acme"), errSlowDatabase.Error())
	}
	testkit.Contains(t, "the page", b.find("acme"), "2 searches are running; try again")
	close(proceed)
	testkit.Eventually(t, "searches are possible again", func() bool { return strings.Contains(b.find("acme"), "late") })
	b.Close()
	testkit.Contains(t, "the closed page", b.find("acme"), "⚠ Registry and ledger are not available:")
}

// Whatever is searched for, and whatever the database has, is text on the page, and never part of a command.
func TestHostileTenants(t *testing.T) {
	b := newBundle(t)
	var asked []string
	hostile := []string{
		`</title><script>alert(1)</script>`, `" onfocus="alert(2)" autofocus x="`, "user\u202Egnp.exe", strings.Repeat("W", 255), "{{.}}",
		"<img src=x onerror=alert(3)>", "$(reboot)", "`reboot`", "acme; reboot", "' OR 1=1 --", "acme\u00a0", "..", "%00", "a&b=c", "שלום",
	}
	for _, text := range hostile {
		b.LookUp(func(_ context.Context, id string, _ int) (Tenant, error) {
			asked = append(asked, id)
			return Tenant{ID: id, DisplayName: text, Strategy: text, Boundary: text, Plan: text, Requests: []Request{
				{Source: text, ID: text, Key: text, State: "failed", Cause: text, Step: text, Error: text, OutcomeID: text},
				{Source: "/x", ID: text, State: text, Cause: text},
			}}, nil
		})
		html := b.find(text)
		testkit.Lacks(t, fmt.Sprintf("the page for %q", text), html, "<script", "<img", ` onfocus="`, "\u202e")
		for _, part := range strings.Split(html, "<code>")[1:] {
			if command, _, _ := strings.Cut(part, "</code>"); !plainWords.MatchString(command) {
				t.Errorf("%.80q: a shell would interpret this: %s", text, command)
			}
		}
	}
	testkit.Equal(t, "searches", len(asked), len(hostile))
	asked = nil
	for text, why := range map[string]string{
		"\xff\xfe": "it is not UTF-8", strings.Repeat("x", 256): "it is longer than 255 characters", "a\x00b": "it has control characters",
		strings.Repeat("\U0001F600", 2000): "it is longer than 255 characters", "a\nb": "it has control characters", "a\x1b[31mb": "it has control characters",
	} {
		testkit.Contains(t, "the page", b.find(text), "✗ This cannot be a tenant's id:", why)
	}
	testkit.Equal(t, "searches for what cannot be an id", len(asked), 0)
	for _, query := range []string{"id=%zz", "id=a;b", "id[]=x", "id=a&id=<script>", "x=1"} {
		testkit.Lacks(t, "the page", b.get("/tenant?"+query).Body.String(), "<script")
	}
}

// plainWords are words that a shell takes as they are.
var plainWords = regexp.MustCompile(`^[A-Za-z0-9_/.:@%+=,-]+( [A-Za-z0-9_/.:@%+=,-]+)*$`)
