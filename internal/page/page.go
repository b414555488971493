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

// cacheFor is how long an answer serves all that look.
const cacheFor = time.Second

// policy is what a browser may do with the page. The first four say what it may load; the rest is what default-src
// does not cover: it is in no frame, sends no form, and its addresses are its own.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; form-action 'none'; base-uri 'none'"

//go:embed static
var static embed.FS

//go:embed page.html
var text string

// Config is what a [Page] shows from the first moment on.
type Config struct {
	Version  string
	NATS     string       // where it is, without secrets
	Database string       // likewise
	Steps    []string     // titles of the pipeline's steps, from step 1
	Ready    func() error // nil while requests are taken, else the reason why they are not
	Now      func() time.Time
}

// Page is the operator's page as [http.Handler]. Close it after use.
type Page struct {
	Config
	started  time.Time
	mux      *http.ServeMux
	template *template.Template

	turn chan struct{} // held by who makes the page
	html []byte        // the page as it was made last; nil: never
	made time.Time

	mu       sync.Mutex
	js       jetstream.JetStream // nil: not connected yet
	database func() Database     // nil: not opened yet
	closed   bool
	asking   sync.WaitGroup

	queue    source[queue]
	outcomes source[outcomes]
	rates    source[rates]
	letters  source[letters]
}

// New returns a page, or an error that names what is missing.
func New(c Config) (*Page, error) {
	if c.Ready == nil || c.Now == nil {
		return nil, errors.New("page: Ready and Now are required")
	}
	p := &Page{
		Config: c, started: c.Now(), mux: http.NewServeMux(), turn: make(chan struct{}, 1),
		// What needs many questions, or consumers, is asked less often.
		rates: source[rates]{every: 5 * cacheFor}, letters: source[letters]{every: 5 * cacheFor},
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
	if p.template, err = template.New("page").Funcs(functions(tag(build.Sum(nil)), c.Steps)).Parse(text); err != nil {
		return nil, err
	}
	p.mux.HandleFunc("GET /{$}", p.show)
	return p, nil
}

// Connect has the page read from js from now on.
func (p *Page) Connect(js jetstream.JetStream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.js = js
}

// Watch has the page show the database as fn tells it. fn must not block.
func (p *Page) Watch(fn func() Database) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.database = fn
}

// Close waits for what is being asked, which ends by itself soon, and sooner where the connection is closed.
func (p *Page) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.asking.Wait()
}

// ServeHTTP serves /, /static/page.css and /static/page.js.
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
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // it holds names, and is old in a second
	w.Write(html)                               //nolint:errcheck // the client has gone
}

// current is the page as it is now, made by whoever comes first and shared by who waits for him.
func (p *Page) current(ctx context.Context) ([]byte, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if p.html != nil && p.Now().Sub(p.made) < cacheFor {
		return p.html, nil
	}
	v := p.look(ctx)
	if ctx.Err() != nil { // nobody waited for the answers
		return nil, context.Cause(ctx)
	}
	var b bytes.Buffer
	if err := p.template.Execute(&b, v); err != nil {
		return nil, err
	}
	p.html, p.made = b.Bytes(), p.Now()
	return p.html, nil
}

// asset serves one file, which a browser keeps and asks for anew each time, by its content: the program may be
// another one meanwhile.
func asset(name string, content []byte) http.Handler {
	sum := sha256.Sum256(content)
	etag := `"` + tag(sum[:]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
}

// tag is enough of a digest to tell contents apart.
func tag(sum []byte) string { return hex.EncodeToString(sum[:8]) }
