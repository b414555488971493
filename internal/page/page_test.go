package page

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestNewRejectsAnEmptyConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("no error")
	}
}

func TestAddresses(t *testing.T) {
	b := newBundle(t)
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/tenant": "text/html; charset=utf-8", "/tenant?id=acme": "text/html; charset=utf-8",
		"/static/page.css": "text/css; charset=utf-8",
		"/static/page.js":  "text/javascript; charset=utf-8",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := b.request(method, path, nil)
			testkit.Equal(t, method+" "+path, w.Code, http.StatusOK)
			testkit.Equal(t, path+": Content-Type", w.Header().Get("Content-Type"), want)
			testkit.Equal(t, path+": X-Content-Type-Options", w.Header().Get("X-Content-Type-Options"), "nosniff")
			testkit.Equal(t, path+": Referrer-Policy", w.Header().Get("Referrer-Policy"), "no-referrer")
			testkit.Equal(t, path+": Set-Cookie", w.Header().Get("Set-Cookie"), "")
			if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got,
				"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'") || strings.Contains(got, "unsafe") {
				t.Errorf("%s: Content-Security-Policy: %s", path, got)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			testkit.Equal(t, method+" "+path, b.request(method, path, nil).Code, http.StatusMethodNotAllowed)
		}
	}
	for _, path := range []string{"/index.html", "/static/", "/static/page.html", "/x", "//"} {
		if code := b.get(path).Code; code == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
	testkit.Equal(t, "Cache-Control of the page", b.get("/").Header().Get("Cache-Control"), "no-store")
}

// A browser caches style and script as long as they are unchanged.
func TestAssetsAreCached(t *testing.T) {
	b := newBundle(t)
	first := b.get("/static/page.css")
	tag := first.Header().Get("ETag")
	again := b.request(http.MethodGet, "/static/page.css", http.Header{"If-None-Match": {tag}})
	testkit.Equal(t, "code", again.Code, http.StatusNotModified)
	testkit.Equal(t, "body", again.Body.Len(), 0)
	testkit.Equal(t, "Cache-Control", first.Header().Get("Cache-Control"), "no-cache")
	testkit.Equal(t, "code with another tag", b.request(http.MethodGet, "/static/page.css",
		http.Header{"If-None-Match": {`"x"`}}).Code, http.StatusOK)
	if tag == b.get("/static/page.js").Header().Get("ETag") {
		t.Error("script and style have one tag")
	}
}

// The sources name no other host, and the page has no inline style or script.
func TestSourcesAreSelfContained(t *testing.T) {
	t.Parallel()
	testkit.Must(t, fs.WalkDir(os.DirFS("."), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, never := range []string{"http:", "https:", "//cdn", "@import", "url(", "style=", "onclick", "javascript:", "innerHTML"} {
			if strings.Contains(string(content), never) {
				t.Errorf("%s has %s", path, never)
			}
		}
		return err
	}))
}

// Before the first connection, the page reports what is missing.
func TestBeforeTheFirstConnection(t *testing.T) {
	b := newBundle(t)
	b.reason.Store(&errDown)
	html := b.shows("✗ Not taking requests", "the database is down", "v1.2.3", "nats://xxxxx@nats.example", "sqlite:storage",
		"NATS is not connected yet", "the database is not open yet")
	testkit.Lacks(t, "the page", html, "✓ Taking requests", "Pending", "Last known values")
	b.reason.Store(nil)
	b.Watch(func() Database { return Database{InUse: 1, Idle: 2, Most: 1234, Waits: 3, Waited: 90 * time.Second} })
	html = b.shows("✓ Taking requests", "1,234", "No pool of prepared boundaries", "1\u00a0min 30\u00a0s in total")
	testkit.Lacks(t, "the page", html, "not open yet", "Not taking requests")
	b.Watch(func() Database { return Database{Prepared: &Prepared{Ready: 7, Target: 8, Taken: 90, Misses: 11}} })
	html = b.shows("Prepared boundaries", ">7<", ">8<", ">90<", ">11<")
	testkit.Lacks(t, "the page", html, "No pool of prepared boundaries")
}

func TestEmptyStreams(t *testing.T) {
	b := newConnected(t)
	html := b.shows(`<dd id="pending">0</dd>`, "older than 90\u00a0d", "on a single server", "None: no failed request",
		"consumer request acme", ">0.00 <small>(0)</small>", "Up for", "1\u00a0min")
	testkit.Lacks(t, "the page", html, "Not available:", "≥", "The stream holds only")
}

func TestStreamsWithMessages(t *testing.T) {
	b := newConnected(t)
	publish := func(subject string) {
		_, err := b.js.Publish(t.Context(), subject, []byte("x"))
		testkit.Must(t, err)
	}
	for range 1234 {
		publish(events.TypeRequested)
	}
	b.publishSuccess("acme", func(p *events.Provisioned) {
		p.Replay, p.Prepared, p.DurationMS = 2, true, 1234.56
		p.Warnings = []events.Warning{{Code: events.WarnIndexFailed, Message: "idx_x: no\nspace left"}}
	})
	key := b.publishFailure("umbrella", events.CauseSchemaInvalid, "table document has no column path")
	b.publishDeadLetter(key, string(events.CauseSchemaInvalid), 3*time.Hour)
	b.publishDeadLetter("one", string(events.CauseTenantExists), time.Hour)
	b.publishDeadLetter("two", string(events.CauseTenantExists), 2*time.Hour)

	// The consumer may not have counted a message that was just stored.
	pending := `<dd id="pending">1,234</dd>`
	for deadline := time.Now().Add(testkit.Patience); !strings.Contains(b.html(), pending) && time.Now().Before(deadline); {
		b.pass(-time.Minute)
	}
	b.pass(-time.Minute)
	html := b.shows(pending, "<bdi>acme</bdi>", "✓ provisioned", "<small>prepared</small>", "<small>replay 2</small>", "1,234.6 ms",
		"⚠ INDEX_FAILED", "idx_x: no · space left",
		`aria-label="1 create_isolation_boundary 1.5 ms, 2 initialize_schema 6.2 ms"`, `<rect class="s2" x="1"`,
		"<bdi>umbrella</bdi>", "✗ <bdi>SCHEMA_INVALID</bdi>", "step 4 <bdi>validate_schema</bdi>", "table document has no column path",
		"consumer dead-letters show "+key[:12]+"<",
		"consumer dead-letters list --reason TENANT_EXISTS<", "consumer dead-letters replay --reason TENANT_EXISTS --dry-run<",
		"consumer dead-letters replay --reason SCHEMA_INVALID --dry-run<", "3 in the stream", "2 in the stream",
	)
	if strings.Index(html, "<bdi>umbrella</bdi>") > strings.Index(html, "<bdi>acme</bdi>") {
		t.Error("the newest outcome is not the first")
	}
	if strings.Index(html, "<bdi>TENANT_EXISTS") > strings.Index(html, "<bdi>SCHEMA_INVALID</bdi></th>") {
		t.Error("the most frequent cause is not the first")
	}
	// The clock has advanced by at least a minute.
	testkit.Contains(t, "the page", html, `title="`, ">2\u00a0h 1\u00a0min</time>", ">3\u00a0h 1\u00a0min</time>")
}

// Outcomes are counted from a start time, by type.
func TestRates(t *testing.T) {
	b := newConnected(t)
	for i := range 30 {
		b.publishSuccess(fmt.Sprint("tenant", i), nil)
	}
	b.publishFailure("umbrella", events.CauseTenantExists, "")
	row := func(minutes int, provisioned, failed string) string {
		return fmt.Sprintf(`<tr><th scope="row">%d min</th><td class="n">%s</small></td><td class="n">%s</small></td></tr>`,
			minutes, provisioned, failed)
	}
	html := b.get("/").Body.String()
	testkit.Contains(t, "the page", html, row(1, "30.00 <small>(30)", "1.00 <small>(1)"), row(5, "6.00 <small>(30)", "0.20 <small>(1)"),
		row(60, "0.50 <small>(30)", "0.02 <small>(1)"))
	b.pass(2 * time.Minute)
	b.publishSuccess("late", nil) // by the server's clock, which did not advance
	html = b.get("/").Body.String()
	testkit.Contains(t, "the page", html, row(1, "0.00 <small>(0)", "0.00 <small>(0)"), row(5, "6.20 <small>(31)", "0.20 <small>(1)"))
	stream, err := b.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	for deadline := time.Now().Add(forgottenAfter / 2); ; { // before the server removes them itself
		info, err := stream.Info(t.Context())
		testkit.Must(t, err)
		if info.State.Consumers == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d consumers are left", info.State.Consumers)
		}
	}
	// Outcomes that the stream has removed are not counted, and the page reports that.
	testkit.Must(t, stream.Purge(t.Context(), jetstream.WithPurgeKeep(3)))
	b.shows("The stream holds only outcomes since")
}

// Newer outcomes than those read last are read, and removed messages are skipped.
func TestRecentOutcomes(t *testing.T) {
	b := newConnected(t)
	stream, err := b.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	var sequences []uint64
	for i := range 50 {
		sequences = append(sequences, b.publishSuccess(fmt.Sprintf("tenant%02d", i), nil))
	}
	for _, i := range []int{49, 45, 31} {
		testkit.Must(t, stream.DeleteMsg(t.Context(), sequences[i]))
	}
	html := b.shows("tenant48", "tenant46", "tenant44", "tenant27", "The newest 20,")
	testkit.Lacks(t, "the page", html, "tenant49", "tenant45", "tenant31", "tenant26")
	b.publishSuccess("newer", nil)
	html = b.shows("newer", "tenant48", "tenant28", "The newest 20,")
	testkit.Lacks(t, "the page", html, "tenant27")
	b.publish(events.TypeProvisioned, "not an event")
	b.publish(events.TypeProvisioned, `{"specversion":"1.0","id":"1","source":"/x","type":"else","data":{}}`)
	b.shows("? not an outcome", "not a JSON object", "tenant48")
	testkit.Equal(t, "outcomes", strings.Count(b.html(), "? not an outcome"), 2)

	// In a recreated stream, earlier reads do not count.
	testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamEvents))
	html = b.shows("stream TENANT_EVENTS: ", "Last known values, read at", "tenant48")
	testkit.Contains(t, "the page", html, "✓ Taking requests")
	ensureStreams(t, b.js)
	for i := range 60 {
		b.publishSuccess(fmt.Sprintf("other%02d", i), nil)
	}
	html = b.shows("other59", "other40")
	testkit.Lacks(t, "the page", html, "tenant48", "Not available:")
}

// However many dead letters there are, a bounded number is read, and nothing is read again while the stream is
// unchanged.
func TestManyDeadLetters(t *testing.T) {
	b := newConnected(t)
	f := b.injectFault()
	const more = 7
	for i := range maxDeadLetters + more {
		reason := "TENANT_EXISTS"
		if i%10 == 0 {
			reason = fmt.Sprintf("CAUSE_%c%c", 'A'+i/10%10, 'A'+i/100%20)
		}
		b.publishDeadLetter(fmt.Sprint(i), reason, 0)
	}
	html := b.shows("counts are minimums, from the oldest 2,000 only", "≥ 1,800<", "2,007 in the stream", ">others</th>")
	testkit.Equal(t, "rows", strings.Count(html, `class="cause"`), maxCauses+1)

	lists := func() int64 {
		before := f.lists.Load()
		b.html()
		return f.lists.Load() - before
	}
	testkit.Equal(t, "lists read of a stream that has not changed", lists(), 0)
	b.publishDeadLetter("new", "TENANT_EXISTS", 0)
	if lists() == 0 {
		t.Error("a new dead letter is not read")
	}
}

// A client that may publish controls every text. The page escapes all of it.
func TestHostileText(t *testing.T) {
	b := newConnected(t)
	const script, attribute = `</title><script>alert(1)</script>`, `" onmouseover="alert(2)" x="`
	const turned = "user\u202Egnp.exe"
	long := strings.Repeat("W", 1024)
	for i, text := range []string{script, attribute, turned, long, "a\x00b", "{{.}}", "שלום", "<img src=x onerror=alert(3)>", " "} {
		b.publishSuccess(fmt.Sprint("t", text), func(p *events.Provisioned) {
			p.DisplayName = text
			p.Warnings = []events.Warning{{Code: text, Message: text}}
			p.Steps = append(p.Steps, events.StepTiming{Step: events.Step{Number: -1, Name: text}, DurationMS: -5},
				events.StepTiming{Step: events.Step{Number: 99, Name: text}, DurationMS: 1e300})
		})
		b.publishFailure(text, events.CauseCode(text), text)
		b.publishDeadLetter(fmt.Sprint("k", i), strings.Map(printable, text)+" $(reboot)", -time.Hour)
	}
	b.publishDeadLetter("x", "TENANT_EXISTS; reboot", 0)
	b.publishDeadLetter("y", "TENANT_EXISTS\u00a0", 0)
	b.publishDeadLetter("z", "", 0)
	b.publish(events.TypeProvisioned, script+attribute)
	errHostile := fmt.Errorf("%s %s\n%s", script, turned, strings.Repeat("V", 1024))
	b.reason.Store(&errHostile)
	html := b.html()
	testkit.Equal(t, "scripts", strings.Count(html, "<script"), 1)
	testkit.Equal(t, "titles", strings.Count(html, "</title>"), 1+strings.Count(html, "<title>")-1)
	testkit.Lacks(t, "the page", html, "<img", attribute, turned, "\u202e", "\x00", long[:300], strings.Repeat("V", maxReason), "reboot --")
	testkit.Contains(t, "the page", html, "<bdi>{{.}}</bdi>", "<bdi>שלום</bdi>", "&lt;script&gt;alert(1)", `user\u202egnp.exe`, strings.Repeat("W", 40))
	for line := range strings.Lines(html) {
		_, after, is := strings.Cut(line, "<code>")
		command, _, _ := strings.Cut(after, "</code>")
		if is && strings.ContainsAny(command, "$;&<>'\"`|") {
			t.Errorf("a shell would interpret this: %s", command)
		}
	}
	// For an unknown cause the command names none.
	testkit.Contains(t, "the page", html, "not a known cause code", "<code>consumer dead-letters list</code>")
	testkit.Lacks(t, "the page", html, "--reason TENANT_EXISTS")
}

func printable(r rune) rune {
	if r < ' ' {
		return '?'
	}
	return r
}

// The page lists all servers of a cluster as JetStream reports them.
func TestReplicas(t *testing.T) {
	b := newBundle(t)
	render := func(q handler.Queue) string {
		t.Helper()
		var html strings.Builder
		v := view{Config: b.Config, At: time.Now(), Queue: answer[queue]{Value: queue{q}, At: time.Now()}}
		testkit.Must(t, b.template.Execute(&html, v))
		return html.String()
	}
	html := render(handler.Queue{Pulls: 3, Cluster: &jetstream.ClusterInfo{Leader: "n1", Replicas: []*jetstream.PeerInfo{
		{Name: "n2", Current: true}, {Name: "n3", Lag: 1500, Active: 75 * time.Second}, {Name: "n4", Offline: true, Lag: 7},
	}}})
	testkit.Contains(t, "the page", html, "<bdi>n1</bdi> <small>leader</small></th><td>✓ current</td>", "<bdi>n2</bdi> <small>replica</small></th><td>✓ current</td>",
		`✗ behind</span> <small>seen 1`+"\u00a0min 15\u00a0s ago</small></td><td class=\"n\">1,500</td>", `✗ offline</span></td><td class="n">7</td>`,
		"<dt>Waiting pull requests</dt><dd>3</dd>")
	testkit.Lacks(t, "the page", html, "single server", "Paused", "passed half")
	html = render(handler.Queue{Cluster: &jetstream.ClusterInfo{}, Paused: true})
	testkit.Contains(t, "the page", html, "✗ not elected: requests cannot be taken", "⚠ Paused by an operator")
	html = render(handler.Queue{Pending: 1, Oldest: time.Now().Add(-50 * 24 * time.Hour), MaxAge: 90 * 24 * time.Hour})
	testkit.Contains(t, "the page", html, "50\u00a0d", "⚠ The oldest request has passed half")
}

// While the server is unavailable, the page has the last known values and the reason, and no viewer waits.
func TestServerUnavailable(t *testing.T) {
	b := newConnected(t)
	b.publishSuccess("acme", nil)
	b.publishDeadLetter("one", "TENANT_EXISTS", 0)
	b.shows("acme", "TENANT_EXISTS")
	b.server.Shutdown()
	b.server.WaitForShutdown()
	for b.js.Conn().IsConnected() {
		time.Sleep(time.Millisecond)
	}
	f := b.injectFault()
	html := b.shows("acme", "TENANT_EXISTS", "there is no connection to NATS", "Last known values, read at", "✓ Taking requests")
	testkit.Equal(t, "queries", f.streams.Load(), 0)
	testkit.Equal(t, "parts that are not available", strings.Count(html, "Not available:"), 6)
}

// While the server does not answer a query, the page is still served, and does not query the server again.
func TestServerStalls(t *testing.T) {
	b := newConnected(t)
	f := b.injectFault()
	b.publishSuccess("acme", nil)
	b.shows("acme")
	b.timeout = sourceTimeout
	proceed := f.stall()
	queries := f.streams.Load()
	for range 2 {
		b.shows("acme", "NATS did not answer within 1.5s", "Last known values, read at", "✓ Taking requests")
	}
	testkit.Equal(t, "queries while stalled", f.streams.Load()-queries, 5)
	proceed()
	b.publishSuccess("umbrella", nil)
	deadline := time.Now().Add(testkit.Patience)
	for !strings.Contains(b.html(), "umbrella") {
		if time.Now().After(deadline) {
			t.Fatal("the page does not recover")
		}
	}
}

// However many viewers there are, the server is queried once a second.
func TestManyViewers(t *testing.T) {
	b := newConnected(t)
	f := b.injectFault()
	b.html()
	one := f.streams.Load()
	b.pass(time.Minute)
	begin := time.Now()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { b.get("/") })
	}
	all.Wait()
	// One rendering, and one more for each second that the hundred took.
	seconds := int64(time.Since(begin)/cacheFor) + 1
	if more := f.streams.Load() - one; more < one || more > (seconds+1)*one {
		t.Errorf("one viewer causes %d queries, a hundred within %d s cause %d", one, seconds, more)
	}
}

// A viewer that disconnects early does not affect what other viewers get.
func TestViewerDisconnects(t *testing.T) {
	b := newConnected(t)
	f := b.injectFault()
	b.publishSuccess("acme", nil)
	proceed := f.stall()
	b.pass(time.Minute)
	disconnected := make(chan struct{})
	ctx, disconnect := contextOf(t)
	go func() {
		defer close(disconnected)
		if _, err := b.current(ctx); err == nil {
			t.Error("a disconnected viewer gets a response")
		}
	}()
	for f.streams.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	disconnect()
	<-disconnected
	proceed()
	html := b.get("/").Body.String()
	testkit.Contains(t, "the page", html, "acme")
	testkit.Lacks(t, "the page", html, "Not available:")
}

// A closed page queries no server, and is still served.
func TestClosed(t *testing.T) {
	b := newConnected(t)
	f := b.injectFault()
	b.publishSuccess("acme", nil)
	b.shows("acme")
	b.Close()
	queries := f.streams.Load()
	b.shows("acme")
	testkit.Equal(t, "queries after Close", f.streams.Load(), queries)
}
