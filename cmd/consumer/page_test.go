package main

import (
	"net/http"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// Every part of the page shows data of the running service.
func TestPage(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0"))
		if !d.sqlite() {
			env["PREPARED_BOUNDARIES"] = "1"
		}
		service := serve(t, env)
		url := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
		js := natstest.JetStream(t, testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url"))
		publish(t, js, requestFor(t, "order-1", "acme"))
		awaitSettled(t, js)
		publish(t, js, requestFor(t, "order-2", "acme"))
		awaitSettled(t, js)
		var page string
		testkit.Eventually(t, "the page shows both outcomes", func() bool {
			page = getComplete(t, url+"/")
			return strings.Contains(page, "<bdi>TENANT_EXISTS</bdi></b>") && strings.Contains(page, "✓ provisioned</b>")
		})
		testkit.Contains(t, "the page", page, "✓ Taking requests", "embedded at", "(1)</small>", "<dt>Waiting pull requests</dt><dd>1</dd>",
			"consumer dead-letters replay --reason TENANT_EXISTS --dry-run", "Connections of this replica")
		if got := strings.Contains(page, "Prepared boundaries"); got == d.sqlite() {
			t.Errorf("prepared boundaries are shown: %v", got)
		}
		found := getComplete(t, url+"/tenant?id=acme")
		testkit.Contains(t, "the search", found, "✓ registered", d.boundary("tenant_acme"), "consumer tenants show acme",
			"consumer requests show "+billing+" order-1", "consumer requests show "+billing+" order-2",
			"consumer dead-letters show "+events.RequestKey(billing, "order-2")[:12])
		found = getComplete(t, url+"/tenant?id=ACME")
		testkit.Contains(t, "the search in another case", found, "differs only in case from", "The ledger has no request")
		found = getComplete(t, url+"/tenant?id=other")
		testkit.Contains(t, "the search for another", found, "No tenant <bdi>other</bdi> is registered")
		code, _ := get(t, url+"/static/page.js")
		testkit.Equal(t, "/static/page.js", code, http.StatusOK)
		code, _ = get(t, url+"/index.html")
		testkit.Equal(t, "/index.html", code, http.StatusNotFound)
	})
}

// The page shows no password.
func TestPageShowsNoPassword(t *testing.T) {
	t.Parallel()
	env := settings(with("HTTP_ADDR", "127.0.0.1:0"), with("NATS_URL", "nats://me:hush-nats@"+testkit.FreeAddr(t)),
		with("DATABASE_URL", "postgres://me:hush-database@"+testkit.FreeAddr(t)+"/x"))
	service := start(t, env, "run")
	url := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	var page string
	testkit.Eventually(t, "the page shows what the service waits for", func() bool {
		_, page = get(t, url+"/")
		// For a moment the page shows only the first failure.
		return strings.Contains(page, "starting: waiting for NATS") && strings.Contains(page, "there is no connection to NATS")
	})
	testkit.Contains(t, "the page", page, "✗ Not taking requests", "postgres://me:xxxxx@", "the database is not open yet")
	if strings.Contains(page, "hush") {
		t.Errorf("a password is on the page:\n%s", page)
	}
}

// NATS accepts connections and does not answer: the page is served within its timeout, and delays no other request.
func TestPageWhileNATSStalls(t *testing.T) {
	t.Parallel()
	relay, relayURL := newRelay(t, natstest.Start(t))
	service := serve(t, settings(newSQLite(t).env, with("NATS_URL", relayURL), with("HTTP_ADDR", "127.0.0.1:0")))
	url := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	proceed := relay.stall()
	defer proceed()
	pages := make(chan string, 5)
	// A probe that waits for pages is always answered after them; on a busy machine any other sometimes is.
	testkit.Eventually(t, "/livez is answered before the pages", func() bool {
		for range cap(pages) {
			go func() {
				response, err := httpClient.Get(url + "/")
				if err != nil {
					pages <- err.Error()
					return
				}
				defer response.Body.Close()
				var b strings.Builder
				response.Write(&b)
				pages <- b.String()
			}()
		}
		code, _ := get(t, url+"/livez")
		testkit.Equal(t, "/livez", code, http.StatusOK)
		before := len(pages)
		for range cap(pages) {
			testkit.Contains(t, "the page", <-pages, "200 OK", "NATS did not answer")
		}
		return before == 0
	})
	proceed()
	relay.cut()
}
