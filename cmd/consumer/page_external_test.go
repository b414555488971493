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

// screenshotDir names the variable with the directory for screenshots of the page; empty: none are taken.
const screenshotDir = "PAGE_PICTURES"

// tab is a page in a real browser, with its requests and console messages.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp identifies a tab by its context

	mu       sync.Mutex
	requests []string // addresses
	console  []string // errors and warnings
}

// openBrowser starts Chromium without a window and returns a function that opens a tab. The test's end closes both.
func openBrowser(t *testing.T) (openTab func() *tab) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is missing: apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	if os.Getuid() == 0 { // Chromium's sandbox does not work for root
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
		testkit.Must(t, chromedp.Listen(ctx, b.record))
		return b
	}
}

// record records requests, and messages on the console.
func (b *tab) record(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *browserlog.EventEntryAdded:
		b.console = append(b.console, e.Entry.Text+" "+e.Entry.URL)
	case *runtime.EventExceptionThrown:
		b.console = append(b.console, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.console = append(b.console, fmt.Sprint(e.Type, " on the console"))
	}
}

// result runs an action that has a result.
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

// eval evaluates an expression in the page, bypassing its content security policy.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return result(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// script runs statements in the page.
func (b *tab) script(statements string) {
	b.t.Helper()
	eval[bool](b, statements+"; true")
}

// text returns the text that the page shows, or "" while it is being loaded.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, `document.body?.innerText ?? ""`)
}

// awaitText waits until the page shows every part.
func (b *tab) awaitText(parts ...string) {
	b.t.Helper()
	for _, part := range parts {
		testkit.Eventually(b.t, "the page shows "+part, func() bool { return strings.Contains(b.text(), part) })
	}
}

// setScreen sets the size of the screen and the preferred colour scheme.
func (b *tab) setScreen(width, height int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// takeScreenshots writes screenshots, in every variant, into the directory that [screenshotDir] names.
func (b *tab) takeScreenshots(name string) {
	b.t.Helper()
	dir := os.Getenv(screenshotDir)
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		b.setScreen(1280, 1300, scheme)
		testkit.Must(b.t, os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), b.screenshot(), 0o644))
		b.setScreen(360, 780, scheme)
		testkit.Must(b.t, os.WriteFile(filepath.Join(dir, name+"-"+scheme+"-phone.png"), b.screenshot(), 0o644))
	}
}

// screenshot uses the 256 most frequent colours: a third of the size, and no visible difference.
func (b *tab) screenshot() []byte {
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

// overflow lists elements that are wider than the screen and do not scroll inside their own box.
const overflow = `(() => {
	const beyond = [...document.querySelectorAll("body *")].filter((e) =>
		e.getBoundingClientRect().right > innerWidth + 0.5 && e.getBoundingClientRect().width > 0 && !e.closest(".scroll"));
	return beyond.map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))
		.concat(document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : []);
})()`

// lowContrast lists text whose contrast with its background is below 4.5, WCAG's AA for any size.
const lowContrast = `(() => {
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
	return n < 50 ? ["only " + n + " texts were checked"] : found;
})()`

// provisionSamples publishes requests that succeed, or fail for different reasons.
func provisionSamples(t *testing.T, d testDatabase, js jetstream.JetStream) {
	t.Helper()
	d.createBoundary("legacy", "CREATE TABLE {b}docbasket (id integer)", "INSERT INTO {b}docbasket VALUES (1)")
	for i, tenant := range []string{
		"acme", "umbrella", "initech", "legacy", "hooli", "stark-industries-of-the-north-atlantic", "globex", "acme",
		"_docex_other_", "no such/id", "wayne_enterprises", "wonka", "ACME", "tyrell", "cyberdyne",
	} {
		publish(t, js, unchecked(t, fmt.Sprintf("order-%d", i), tenant))
		awaitSettled(t, js)
	}
}

// unchecked returns a request that need not be valid.
func unchecked(t *testing.T, id, tenant string) *nats.Msg {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": events.TypeRequested, "source": billing, "id": id,
		"data": events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"},
	})
	testkit.Must(t, err)
	return &nats.Msg{Subject: events.TypeRequested, Data: body}
}

// The page in a real browser: its content, updates and accessibility.
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
		b.setScreen(1280, 900, "light")
		b.do(chromedp.Navigate(url))
		b.awaitText("✓ Taking requests", "Pending", "on a single server", "acme", "✓ provisioned", "✗ TENANT_EXISTS",
			"⚠ NOT_DOCEX_COMPATIBLE", "consumer dead-letters replay --reason TENANT_EXISTS --dry-run", "Connections of this replica")
		if !d.sqlite() {
			b.awaitText("Prepared boundaries")
		}

		if !d.sqlite() { // PostgreSQL has more to show
			b.takeScreenshots("page")
		}
		testReadable(b)
		testHostile(b, js)
		testLive(b, js)
		testChart(b)
		testNoMoreThanNeeded(b, url)
		testHidden(b)
		testSearch(openTab(), url)
		testWithoutScript(openTab(), url, js)

		testkit.Equal(t, "exit code", service.stop(t), 0)
		b.awaitText("Cannot reach the service")
	})
}

// testReadable checks every width and palette.
func testReadable(b *tab) {
	b.t.Helper()
	backgrounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"phone": 360, "tablet": 740, "desktop": 1280} {
			b.setScreen(width, 800, scheme)
			for _, what := range eval[[]string](b, overflow) {
				b.t.Errorf("%s: beyond the screen: %s", name, what)
			}
			for _, what := range eval[[]string](b, lowContrast) {
				b.t.Errorf("%s, %s: low contrast: %s", name, scheme, what)
			}
			backgrounds[eval[string](b, "getComputedStyle(document.body).backgroundColor")] = true
		}
	}
	testkit.Equal(b.t, "backgrounds", len(backgrounds), 2)
	b.setScreen(1280, 900, "light")

	// The keyboard reaches every control, and the focus is visible.
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
	testkit.Equal(b.t, "reached by keyboard", strings.Join(reached, " "), "skip tenant-id Find pause outcomes-box metrics readyz livez")
}

// testHostile publishes text that runs, reverses or overflows the page unless it is escaped.
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
	b.awaitText("</title><script>window.ran", "not a known cause code", `user\u202egnp.exe`, "WWW…")
	for _, width := range []int64{360, 740, 1280} {
		b.setScreen(width, 800, "light")
		for _, what := range eval[[]string](b, overflow) {
			b.t.Errorf("hostile text, %d wide: beyond the screen: %s", width, what)
		}
	}
	if eval[bool](b, "window.ran === true") {
		b.t.Error("a script in the text has run")
	}
}

// testLive publishes outcomes while the page is open.
func testLive(b *tab, js jetstream.JetStream) {
	b.t.Helper()
	b.setScreen(1280, 500, "light")
	b.script(`
		window.marker = true;
		window.scrollTo(0, 150);
		document.getElementById("outcomes-box").focus({ preventScroll: true })`)
	publish(b.t, js, requestFor(b.t, "live-1", "came_meanwhile"))
	b.awaitText("came_meanwhile")
	if !eval[bool](b, "window.marker === true") {
		b.t.Error("the page was reloaded")
	}
	testkit.Equal(b.t, "scroll position", eval[int](b, "window.scrollY"), 150)
	testkit.Equal(b.t, "focus", eval[string](b, "document.activeElement.id"), "outcomes-box")

	// While paused, or with a selection, the page does not change.
	for how, actions := range map[string][2]string{
		"paused":   {`document.getElementById("pause").click()`, `document.getElementById("pause").click()`},
		"selected": {`getSelection().selectAllChildren(document.querySelector("main code"))`, `getSelection().removeAllRanges()`},
	} {
		b.script(actions[0])
		publish(b.t, js, requestFor(b.t, "live-"+how, "came_while_"+how))
		awaitSettled(b.t, js)
		b.assertPolls(how == "selected")
		if strings.Contains(b.text(), "came_while_"+how) {
			b.t.Errorf("%s: the page has changed", how)
		}
		b.script(actions[1])
		b.awaitText("came_while_" + how)
	}
}

// testChart: the chart's columns are drawn, and screen readers get the figures.
func testChart(b *tab) {
	b.t.Helper()
	for _, class := range []string{"good", "bad"} {
		drawn := eval[[]float64](b, `[...document.querySelectorAll("figure svg rect.`+class+`")].map((e) => {
			const box = e.getBoundingClientRect();
			return Math.min(box.width, box.height);
		})`)
		if len(drawn) == 0 || slices.Min(drawn) < 1 {
			b.t.Errorf("columns %s: %v", class, drawn)
		}
	}
	testkit.Equal(b.t, "minutes", eval[int](b, `document.querySelectorAll("figure svg g title").length`), 120)
	rows := eval[[]string](b, `[...document.querySelectorAll(".spoken tbody tr")].map((e) => e.textContent)`)
	if len(rows) == 0 {
		b.t.Error("there is no table of the minutes")
	}
}

// testSearch searches for tenants, with and without script.
func testSearch(b *tab, url string) {
	b.t.Helper()
	b.setScreen(1280, 900, "light")
	b.do(chromedp.Navigate(url))
	b.awaitText("✓ Taking requests")
	b.script(`document.getElementById("tenant-id").focus()`)
	b.do(chromedp.KeyEvent("acme" + kb.Enter))
	b.awaitText("✓ registered", "consumer tenants show acme", "✗ TENANT_EXISTS", "consumer dead-letters show")
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 740, 1280} {
			b.setScreen(width, 800, scheme)
			for _, what := range eval[[]string](b, overflow) {
				b.t.Errorf("search, %d wide: beyond the screen: %s", width, what)
			}
			for _, what := range eval[[]string](b, lowContrast) {
				if !strings.Contains(what, "texts were checked") {
					b.t.Errorf("search, %d wide, %s: low contrast: %s", width, scheme, what)
				}
			}
		}
	}
	b.takeScreenshots("search")
	b.do(chromedp.Navigate(url + "tenant?id=AcME"))
	b.awaitText("differs only in case from acme")
	b.script(`document.querySelector("main a").click()`)
	b.awaitText("✓ registered")
	b.do(chromedp.Navigate(url + "tenant?id=%3Cscript%3Ewindow.ran%3Dtrue%3C/script%3E"))
	b.awaitText("No tenant <script>window.ran=true</script> is registered")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.console {
		b.t.Errorf("the browser reports: %s", what)
	}
}

// assertPolls asserts that the page polls within its interval, or does not.
func (b *tab) assertPolls(want bool) {
	b.t.Helper()
	before := b.count()
	time.Sleep(4 * time.Second) // no event shows that it does not poll
	if got := b.count() > before; got != want {
		b.t.Errorf("the page polls: %v, want %v", got, want)
	}
}

func (b *tab) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

// testNoMoreThanNeeded asserts that the browser has sent no other request and reported no error, and that the page's
// policy blocks other content.
func testNoMoreThanNeeded(b *tab, url string) {
	b.t.Helper()
	b.mu.Lock()
	requests, console := slices.Clone(b.requests), slices.Clone(b.console)
	b.mu.Unlock()
	for _, address := range requests {
		if !strings.HasPrefix(address, url) {
			b.t.Errorf("the page requests %s", address)
		}
	}
	if len(requests) < 4 {
		b.t.Errorf("only %d requests were seen: %v", len(requests), requests)
	}
	for _, what := range console {
		b.t.Errorf("the browser reports: %s", what)
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
	b.assertPolls(false)
	hide(false)
	b.assertPolls(true)
}

// testWithoutScript: without scripts the page reloads itself.
func testWithoutScript(b *tab, url string, js jetstream.JetStream) {
	t := b.t
	t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(chromedp.Navigate(url))
	source := func() string {
		ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
		defer cancel()
		html, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
		if err != nil { // the page is being reloaded
			return err.Error()
		}
		return html
	}
	testkit.Contains(t, "the page", source(), "came_meanwhile")
	publish(t, js, requestFor(t, "plain-1", "came_without_script"))
	testkit.Eventually(t, "the page has reloaded", func() bool { return strings.Contains(source(), "came_without_script") })
}
