//go:build external

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	browserlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// pictures names a directory for pictures of the page; empty: none are taken.
const pictures = "PAGE_PICTURES"

// tab is a page in a real browser, and what the browser has said about it.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // the browser's own, which is what names a tab to it

	mu       sync.Mutex
	requests []string // addresses
	said     []string // on the console, errors and warnings
}

// openBrowser starts Chromium without a window and returns what opens a tab in it. The test's end closes both.
func openBrowser(t *testing.T) (openTab func() *tab) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is missing: apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	if os.Getuid() == 0 { // whom its sandbox does not serve
		options = append(options, chromedp.NoSandbox)
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	browser, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	testkit.Must(t, chromedp.Do(browser))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(browser, testkit.Patience)
		defer cancel()
		testkit.Must(t, chromedp.Cancel(ctx)) // before its directory is removed
	})
	return func() *tab {
		t.Helper()
		ctx, end := chromedp.NewContext(browser)
		t.Cleanup(end)
		b := &tab{t: t, ctx: ctx}
		testkit.Must(t, chromedp.Listen(ctx, b.hear))
		return b
	}
}

// apply remembers what was asked, and what a developer would see on the console.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *browserlog.EventEntryAdded:
		b.said = append(b.said, e.Entry.Text+" "+e.Entry.URL)
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.said = append(b.said, fmt.Sprint(e.Type, " on the console"))
	}
}

// result runs an action that has one.
func result[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	testkit.Must(b.t, err)
	return value
}

// do runs actions.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		result(b, action)
	}
}

// call runs a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
	defer cancel()
	_, err := chromedp.Call(ctx, command, params)
	testkit.Must(b.t, err)
}

// eval is what an expression comes to in the page, past its policy.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return result(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// script runs statements in the page.
func (b *tab) script(statements string) {
	b.t.Helper()
	eval[bool](b, statements+"; true")
}

// text is what the page shows.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, "document.body.innerText")
}

// shows waits until the page shows all of it.
func (b *tab) shows(parts ...string) {
	b.t.Helper()
	for _, part := range parts {
		testkit.Eventually(b.t, "the page shows "+part, func() bool { return strings.Contains(b.text(), part) })
	}
}

// as makes the browser one with this width and preference of colours.
func (b *tab) as(width, height int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// takePictures writes what a screen shows of the page, in every variant, into the directory that [pictures] names.
func (b *tab) takePictures() {
	b.t.Helper()
	dir := os.Getenv(pictures)
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		b.as(1280, 1300, scheme)
		testkit.Must(b.t, os.WriteFile(filepath.Join(dir, "page-"+scheme+".png"), b.picture(), 0o644))
		b.as(360, 780, scheme)
		testkit.Must(b.t, os.WriteFile(filepath.Join(dir, "page-"+scheme+"-phone.png"), b.picture(), 0o644))
	}
}

// picture is what the screen shows, in its 256 most frequent colours: a third of the size, and no difference to see.
func (b *tab) picture() []byte {
	b.t.Helper()
	full, err := png.Decode(bytes.NewReader(result(b, chromedp.CaptureScreenshot())))
	testkit.Must(b.t, err)
	area, frequency := full.Bounds(), map[color.Color]int{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			frequency[full.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(frequency), func(a, b color.Color) int { return frequency[b] - frequency[a] })
	small := image.NewPaletted(area, colors[:min(len(colors), 256)])
	draw.Draw(small, area, full, area.Min, draw.Src)
	var written bytes.Buffer
	testkit.Must(b.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&written, small))
	return written.Bytes()
}

// overflow names what reaches beyond the width of the screen and does not scroll inside its own box.
const overflow = `(() => {
	const beyond = [...document.querySelectorAll("body *")].filter((e) =>
		e.getBoundingClientRect().right > innerWidth + 0.5 && e.getBoundingClientRect().width > 0 && !e.closest(".scroll"));
	return beyond.map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))
		.concat(document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : []);
})()`

// faint lists text whose contrast with what is behind it is below 4.5, WCAG's AA for any size.
const faint = `(() => {
	const channels = (color) => color.match(/[\d.]+/g).map(Number);
	const luminance = (color) => {
		const [r, g, b] = channels(color).map((c) => c / 255)
			.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const color = getComputedStyle(e).backgroundColor, alpha = channels(color)[3];
			if (alpha === undefined || alpha === 1) return color;
		}
		return "rgb(255, 255, 255)";
	};
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
	let n = 0;
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || e.closest("svg, noscript, [hidden]")) continue;
		n++;
		const [a, b] = [luminance(getComputedStyle(e).color), luminance(ground(e))].sort((x, y) => y - x);
		const contrast = (a + 0.05) / (b + 0.05);
		if (contrast < 4.5) found.push(contrast.toFixed(2) + " " + walker.currentNode.data.trim().slice(0, 40));
	}
	return n < 50 ? ["only " + n + " texts were looked at"] : found;
})()`

// provisionSamples has tenants provisioned and refused, each for a reason of its own.
func provisionSamples(t *testing.T, d testDatabase, js jetstream.JetStream) {
	t.Helper()
	d.plant("legacy", "CREATE TABLE {b}docbasket (id integer)", "INSERT INTO {b}docbasket VALUES (1)")
	for i, tenant := range []string{
		"acme", "umbrella", "initech", "legacy", "hooli", "stark-industries-of-the-north-atlantic", "globex", "acme",
		"_docex_other_", "no such/id", "wayne_enterprises", "wonka", "ACME", "tyrell", "cyberdyne",
	} {
		publish(t, js, unchecked(t, fmt.Sprintf("order-%d", i), tenant))
		settled(t, js)
	}
}

// unchecked is a request that need not be valid.
func unchecked(t *testing.T, id, tenant string) *nats.Msg {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": events.TypeRequested, "source": billing, "id": id,
		"data": events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"},
	})
	testkit.Must(t, err)
	return &nats.Msg{Subject: events.TypeRequested, Data: body}
}

// The page in a real browser: what it shows, that it keeps itself up to date, and that it can be read by everybody.
func TestExternalPage(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		openTab := openBrowser(t)
		env := settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0"))
		if !d.sqlite() {
			env["PREPARED_BOUNDARIES"] = "3"
		}
		service := serve(t, env)
		url := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr") + "/"
		js := natstest.JetStream(t, testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url"))
		provisionSamples(t, d, js)

		b := openTab()
		b.as(1280, 900, "light")
		b.do(chromedp.Navigate(url))
		b.shows("✓ Taking requests", "Pending", "on a single server", "acme", "✓ provisioned", "✗ TENANT_EXISTS",
			"⚠ NOT_DOCEX_COMPATIBLE", "consumer dead-letters replay --reason TENANT_EXISTS --dry-run", "Connections of this replica")
		if !d.sqlite() {
			b.shows("Prepared boundaries")
		}

		if !d.sqlite() { // which has more to show
			b.takePictures()
		}
		testReadable(b)
		testHostile(b, js)
		testLive(b, js)
		testNoMoreThanNeeded(b, url)
		testHidden(b)
		testWithoutScript(openTab(), url, js)

		testkit.Equal(t, "exit code", service.stop(t), 0)
		b.shows("Cannot reach the service")
	})
}

// testReadable looks at every width and palette.
func testReadable(b *tab) {
	b.t.Helper()
	grounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"phone": 360, "tablet": 740, "desktop": 1280} {
			b.as(width, 800, scheme)
			for _, what := range eval[[]string](b, overflow) {
				b.t.Errorf("%s: beyond the screen: %s", name, what)
			}
			for _, what := range eval[[]string](b, faint) {
				b.t.Errorf("%s, %s: too faint: %s", name, scheme, what)
			}
			grounds[eval[string](b, "getComputedStyle(document.body).backgroundColor")] = true
		}
	}
	testkit.Equal(b.t, "grounds", len(grounds), 2)
	b.as(1280, 900, "light")

	// Whoever has a keyboard only gets everywhere, and sees where he is.
	var reached []string
	for range 20 {
		b.do(chromedp.KeyEvent(kb.Tab))
		where := eval[string](b, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			if (e === document.body) return "";
			if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "unseen " + e.outerHTML.slice(0, 80);
			return e.id || e.className || e.textContent;
		})()`)
		if where == "" || slices.Contains(reached, where) {
			break
		}
		reached = append(reached, where)
	}
	testkit.Equal(b.t, "reached by keyboard", strings.Join(reached, " "), "skip pause outcomes-box metrics readyz livez")
}

// testHostile has somebody write what would run, turn round or push everything aside, if it were not text.
func testHostile(b *tab, js jetstream.JetStream) {
	b.t.Helper()
	for i, text := range []string{
		`</title><script>window.ran = true</script>`, `" onfocus="window.ran = true" autofocus x="`,
		"<img src=https://example.org/x onerror='window.ran = true'>", "user\u202Egnp.exe", strings.Repeat("W", 1024),
	} {
		id := fmt.Sprintf("hostile-%d", i)
		e, err := events.NewProvisioned(events.Outcome{
			ID: id, Source: events.DefaultSource, Time: time.Now(),
		}, events.Provisioned{
			TenantID: text, DisplayName: text, Steps: []events.StepTiming{{Step: events.Step{Number: 1, Name: text}, DurationMS: 1e300}},
			Warnings: []events.Warning{{Code: text, Message: text}},
		})
		testkit.Must(b.t, err)
		_, body, err := events.Encode(e)
		testkit.Must(b.t, err)
		letter := nats.Header{"Dead-Letter-Reason": {text}, "Dead-Letter-Time": {"0001-01-01T00:00:00Z"}}
		publish(b.t, js, &nats.Msg{Subject: events.TypeProvisioned, Data: body},
			&nats.Msg{Subject: events.DeadLetterSubject(id), Header: letter})
	}
	b.shows("</title><script>window.ran", "not a known cause code", `user\u202egnp.exe`, "WWW…")
	for _, width := range []int64{360, 740, 1280} {
		b.as(width, 800, "light")
		for _, what := range eval[[]string](b, overflow) {
			b.t.Errorf("hostile text, %d wide: beyond the screen: %s", width, what)
		}
	}
	if eval[bool](b, "window.ran === true") {
		b.t.Error("a script of somebody else has run")
	}
}

// testLive has outcomes come while the page is open.
func testLive(b *tab, js jetstream.JetStream) {
	b.t.Helper()
	b.as(1280, 500, "light")
	b.script(`
		window.marker = true;
		window.scrollTo(0, 150);
		document.getElementById("outcomes-box").focus({ preventScroll: true })`)
	publish(b.t, js, requestFor(b.t, "live-1", "came_meanwhile"))
	b.shows("came_meanwhile")
	if !eval[bool](b, "window.marker === true") {
		b.t.Error("the page was loaded anew")
	}
	testkit.Equal(b.t, "place on the page", eval[int](b, "window.scrollY"), 150)
	testkit.Equal(b.t, "focus", eval[string](b, "document.activeElement.id"), "outcomes-box")

	// Paused, or with something selected, the page stands still.
	for how, actions := range map[string][2]string{
		"paused":   {`document.getElementById("pause").click()`, `document.getElementById("pause").click()`},
		"selected": {`getSelection().selectAllChildren(document.querySelector("main code"))`, `getSelection().removeAllRanges()`},
	} {
		b.script(actions[0])
		publish(b.t, js, requestFor(b.t, "live-"+how, "came_while_"+how))
		settled(b.t, js)
		b.asks(how == "selected")
		if strings.Contains(b.text(), "came_while_"+how) {
			b.t.Errorf("%s: the page has changed", how)
		}
		b.script(actions[1])
		b.shows("came_while_" + how)
	}
}

// asks waits for the time in which the page asks again, and reports whether it does.
func (b *tab) asks(want bool) {
	b.t.Helper()
	before := b.count()
	time.Sleep(4 * time.Second) // what is looked for is that nothing happens
	if got := b.count() > before; got != want {
		b.t.Errorf("the page asks again: %v, want %v", got, want)
	}
}

func (b *tab) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

// testNoMoreThanNeeded looks back at what the browser has done: it sent no other request and reported no fault.
// Then that it would have refused the rest.
func testNoMoreThanNeeded(b *tab, url string) {
	b.t.Helper()
	b.mu.Lock()
	requests, said := slices.Clone(b.requests), slices.Clone(b.said)
	b.mu.Unlock()
	for _, address := range requests {
		if !strings.HasPrefix(address, url) {
			b.t.Errorf("the page asks %s", address)
		}
	}
	if len(requests) < 4 {
		b.t.Errorf("only %d requests were seen: %v", len(requests), requests)
	}
	for _, what := range said {
		b.t.Errorf("the browser says: %s", what)
	}
	refused := eval[[]string](b, `(async () => {
		const refused = [];
		document.addEventListener("securitypolicyviolation", (e) => refused.push(e.effectiveDirective));
		const script = document.createElement("script");
		script.textContent = "window.ran = true";
		const image = document.createElement("img");
		image.src = "https://example.org/x.png";
		const styled = document.createElement("p");
		styled.setAttribute("style", "color: red");
		document.body.append(script, image, styled);
		await fetch("https://example.org/").catch(() => {});
		await new Promise((resolve) => setTimeout(resolve, 100));
		return refused.sort().concat(window.ran ? ["but a script ran"] : []);
	})()`)
	testkit.Equal(b.t, "refused", strings.Join(refused, " "), "connect-src img-src script-src-elem style-src-attr")
}

// testHidden: a hidden page sends no request.
func testHidden(b *tab) {
	b.t.Helper()
	hide := func(hidden bool) {
		b.script(fmt.Sprintf(`
			Object.defineProperty(document, "hidden", { configurable: true, value: %v });
			document.dispatchEvent(new Event("visibilitychange"))`, hidden))
	}
	hide(true)
	b.asks(false)
	hide(false)
	b.asks(true)
}

// testWithoutScript: the page loads itself anew.
func testWithoutScript(b *tab, url string, js jetstream.JetStream) {
	t := b.t
	t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(chromedp.Navigate(url))
	source := func() string {
		ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
		defer cancel()
		html, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
		if err != nil { // the page has gone just now, for the next one
			return err.Error()
		}
		return html
	}
	testkit.Contains(t, "the page", source(), "came_meanwhile")
	publish(t, js, requestFor(t, "plain-1", "came_without_script"))
	testkit.Eventually(t, "the page has loaded itself", func() bool { return strings.Contains(source(), "came_without_script") })
}
