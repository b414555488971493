package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// cacheFor is how long a rendered page is served to all viewers.
const cacheFor = time.Second

// policy is the Content-Security-Policy. The first four directives limit what the page may load. The others cover what
// default-src does not: no frame may embed the page, its search form leads to this host, and it has no other base URL.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; form-action 'self'; base-uri 'none'"

//go:embed static
var static embed.FS

//go:embed page.html tenant.html
var templates embed.FS

// Config is what a [Page] shows from the start.
type Config struct {
	Version  string
	NATS     string       // its address, without secrets
	Database string       // its address, without secrets
	Steps    []string     // titles of the pipeline's steps, from step 1
	Ready    func() error // nil while requests are taken, else the reason why they are not
	Now      func() time.Time
}

// Page is the operator's page as an [http.Handler]. Close it after use.
type Page struct {
	Config
	started  time.Time
	timeout  time.Duration // of one source
	mux      *http.ServeMux
	template *template.Template

	rendering  chan struct{} // held while the page is rendered
	html       []byte        // the page as last rendered; nil: never
	renderedAt time.Time

	mu       sync.Mutex
	js       jetstream.JetStream // nil: not connected yet
	database func() Database     // nil: not opened yet
	lookUp   Lookup              // nil: not opened yet
	closed   bool
	reads    sync.WaitGroup

	searching chan struct{} // has an element for each search that runs

	queue       source[queue]
	outcomes    source[outcomes]
	rates       source[rates]
	minutes     source[minutes]
	deadLetters source[deadLetters]
}

// New returns a page, or an error that names what is missing.
func New(c Config) (*Page, error) {
	if c.Ready == nil || c.Now == nil {
		return nil, errors.New("page: Ready and Now are required")
	}
	p := &Page{
		Config: c, started: c.Now(), timeout: sourceTimeout, mux: http.NewServeMux(), rendering: make(chan struct{}, 1),
		searching: make(chan struct{}, maxSearches),
		// Sources that need many requests, or consumers, are read less often.
		rates: source[rates]{every: 5 * cacheFor}, deadLetters: source[deadLetters]{every: 5 * cacheFor},
		minutes: source[minutes]{every: 10 * cacheFor},
	}
	names := []string{"page.css", "page.js"}
	build := sha256.New()
	for _, name := range names {
		content, err := static.ReadFile(path.Join("static", name))
		if err != nil {
			return nil, err
		}
		build.Write(content)
		p.mux.Handle("GET /static/"+name, asset(name, content))
	}
	var err error
	helpers := functions(shortHash(build.Sum(nil)), c.Steps)
	p.template, err = template.New("page.html").Funcs(helpers).ParseFS(templates, "*.html")
	if err != nil {
		return nil, err
	}
	p.mux.HandleFunc("GET /{$}", p.show)
	p.mux.HandleFunc("GET /tenant", p.showTenant)
	return p, nil
}

// Connect sets the connection from which the page reads.
func (p *Page) Connect(js jetstream.JetStream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.js = js
}

// Watch sets the function that returns the state of the database. fn must not block.
func (p *Page) Watch(fn func() Database) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.database = fn
}

// Close waits for running reads. They end soon, and sooner if the connection is closed.
func (p *Page) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.reads.Wait()
}

// ServeHTTP serves /, /tenant, /static/page.css and /static/page.js.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	p.mux.ServeHTTP(w, r)
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	html, err := p.current(r.Context())
	if err != nil {
		http.Error(w, "could not render the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	writePage(w, html)
}

func writePage(w http.ResponseWriter, html []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // it holds names, and is outdated after a second
	w.Write(html)                               //nolint:errcheck // the client has disconnected
}

// current returns the current page. The first caller renders it; concurrent callers wait and share it.
func (p *Page) current(ctx context.Context) ([]byte, error) {
	select {
	case p.rendering <- struct{}{}:
		defer func() { <-p.rendering }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if p.html != nil && p.Now().Sub(p.renderedAt) < cacheFor {
		return p.html, nil
	}
	v := p.readAll(ctx)
	if ctx.Err() != nil { // the viewer left; the view may be incomplete
		return nil, context.Cause(ctx)
	}
	var b bytes.Buffer
	if err := p.template.Execute(&b, v); err != nil {
		return nil, err
	}
	p.html, p.renderedAt = b.Bytes(), p.Now()
	return p.html, nil
}

// asset serves one file. Browsers cache it but revalidate each time, by a hash of its content: the next response may be
// from another version of the service.
func asset(name string, content []byte) http.Handler {
	sum := sha256.Sum256(content)
	etag := `"` + shortHash(sum[:]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
}

// shortHash returns a digest's first 8 bytes in hex, enough to distinguish versions.
func shortHash(sum []byte) string { return hex.EncodeToString(sum[:8]) }
