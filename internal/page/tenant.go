package page

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/events"
)

const (
	maxRequests = 20 // requests of a tenant that are shown
	// maxSearches is how many searches run at the same time: they take connections from the work.
	maxSearches = 2
)

// Tenant is what registry and ledger know of an id. It has no name of a person.
type Tenant struct {
	// ID is the registered id, which may differ in case from the one that was searched for; empty: none is registered.
	ID                              string
	DisplayName, Strategy, Boundary string
	Plan                            string // its name; empty: the tenant has no plan
	MaxBytes, MaxRows               int64  // the plan's limits; 0: no limit
	System                          bool
	Created, Updated                time.Time
	Requests                        []Request // for the id that was searched for, the latest first
}

// Request is a request as the ledger has it.
type Request struct {
	Source, ID, Key, State string
	Replay, Attempts       int
	Created                time.Time
	Step, Cause, Error     string // of the last failure
	OutcomeID              string // empty: it has no outcome yet
}

// Lookup returns what registry and ledger know of the id, with at most limit requests.
type Lookup func(ctx context.Context, id string, limit int) (Tenant, error)

var (
	errSearchesBusy = fmt.Errorf("%d searches are running; try again", maxSearches)
	errNoDatabase   = errors.New("the database is not open yet")
	errSlowDatabase = fmt.Errorf("the database did not answer within %s: it is slow or unavailable", sourceTimeout)
)

// LookUp sets the function that searches the database.
func (p *Page) LookUp(fn Lookup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookUp = fn
}

// search is the data of one page of results.
type search struct {
	At      time.Time
	Query   string
	Invalid string // why nothing can have that id
	Tenant  Tenant
	Err     error           // why Tenant is unknown
	letters map[string]bool // short keys of requests whose dead letter is in the stream
	// LettersErr is why letters is unknown.
	LettersErr error
}

// showTenant serves the search form, and what is known of the tenant that it names.
func (p *Page) showTenant(w http.ResponseWriter, r *http.Request) {
	s := search{At: p.Now().UTC(), Query: strings.TrimSpace(r.URL.Query().Get("id"))}
	if s.Query != "" {
		if s.Invalid = invalidID(s.Query); s.Invalid == "" {
			s = p.search(r.Context(), s)
		}
	}
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, "tenant", s); err != nil {
		http.Error(w, "could not render the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	writePage(w, b.Bytes())
}

// invalidID returns why registry and ledger cannot have a text as a tenant's id, or "". Other programs than this one
// register tenants too, so it is no stricter than the columns.
func invalidID(id string) string {
	switch {
	case !utf8.ValidString(id):
		return "it is not UTF-8"
	case utf8.RuneCountInString(id) > events.MaxTenantID:
		return fmt.Sprintf("it is longer than %d characters", events.MaxTenantID)
	case strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "it has control characters"
	}
	return ""
}

// search runs the search in the background, so that no response waits longer than its timeout, whatever the servers do.
func (p *Page) search(ctx context.Context, s search) search {
	found := make(chan search, 1)
	p.mu.Lock()
	lookUp, js := p.lookUp, p.js
	if lookUp == nil || p.closed {
		p.mu.Unlock()
		s.Err = errNoDatabase
		return s
	}
	select {
	case p.searching <- struct{}{}:
	default:
		p.mu.Unlock()
		s.Err = errSearchesBusy
		return s
	}
	p.reads.Go(func() {
		defer func() { <-p.searching }()
		ctx, cancel := context.WithTimeout(ctx, p.timeout)
		defer cancel()
		found <- look(ctx, s, lookUp, js)
	})
	p.mu.Unlock()
	timer := time.NewTimer(p.timeout + sourceGrace)
	defer timer.Stop()
	select {
	case result := <-found:
		return result
	case <-timer.C:
		return search{At: s.At, Query: s.Query, Err: errSlowDatabase} // the search may still read s
	}
}

// look searches the database, and then the dead letters of the requests that have failed.
func look(ctx context.Context, s search, lookUp Lookup, js jetstream.JetStream) search {
	if s.Tenant, s.Err = lookUp(ctx, s.Query, maxRequests); s.Err != nil {
		if ctx.Err() != nil {
			s.Err = errSlowDatabase
		}
		return s
	}
	s.letters, s.LettersErr = storedLetters(ctx, js, s.Tenant.Requests)
	s.LettersErr = explain(s.LettersErr)
	return s
}

// storedLetters returns the short keys of those failed requests whose dead letter is in the stream. The server counts
// the messages on its subject; none is read.
func storedLetters(ctx context.Context, js jetstream.JetStream, requests []Request) (map[string]bool, error) {
	var failed []Request
	for _, r := range requests {
		if r.Failed() && r.ShortKey() != "" {
			failed = append(failed, r)
		}
	}
	if len(failed) == 0 {
		return nil, nil
	}
	if err := connected(js); err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, err)
	}
	counts := make([]uint64, len(failed))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, r := range failed {
		group.Go(func() error {
			subject := events.DeadLetterSubject(r.Key)
			info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
			if err == nil {
				counts[i] = info.State.Subjects[subject]
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, err)
	}
	letters := map[string]bool{}
	for i, r := range failed {
		letters[r.ShortKey()] = counts[i] > 0
	}
	return letters, nil
}

// safeWord matches a word that every shell takes as it is, and that no command takes for a flag.
var safeWord = regexp.MustCompile(`^[A-Za-z0-9_/.][A-Za-z0-9_/.:@%+=,-]{0,254}$`)

// tenantID matches the ids that this program provisions.
var tenantID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// Argument is the id as an argument of a command; empty where a shell would not take it as it is.
func (s search) Argument() string {
	id := s.Query
	if s.Registered() {
		id = s.Tenant.ID
	}
	switch {
	case !tenantID.MatchString(id):
		return ""
	case id[0] == '-': // not a flag
		return "-- " + id
	}
	return id
}

// Flag is the id as the value of a flag; empty where a shell would not take it as it is.
func (s search) Flag() string { return strings.TrimPrefix(s.Argument(), "-- ") }

// Registered reports whether the tenant is registered with exactly that id.
func (s search) Registered() bool { return s.Tenant.ID != "" && s.Tenant.ID == s.Query }

// CaseVariant is the registered id that differs only in case from the one that was searched for; empty: none is.
func (s search) CaseVariant() string {
	if s.Registered() {
		return ""
	}
	return s.Tenant.ID
}

// Shown is the text that was searched for, for the form; empty if a browser would not show it as it is.
func (s search) Shown() string {
	if s.Query != "" && display(s.Query, events.MaxTenantID) != s.Query {
		return ""
	}
	return s.Query
}

// HasLetter reports whether the dead letter with that short key is in the stream.
func (s search) HasLetter(shortKey string) bool { return s.letters[shortKey] }

// Truncated reports whether there may be more requests than those shown.
func (s search) Truncated() bool { return len(s.Tenant.Requests) == maxRequests }

// ShellSafe reports whether source and id of the request can be copied into a shell.
func (r Request) ShellSafe() bool {
	return safeWord.MatchString(r.Source) && safeWord.MatchString(r.ID)
}

// Failed reports whether its outcome is a failure.
func (r Request) Failed() bool { return r.State == "failed" }

// Provisioned reports whether its outcome is a success.
func (r Request) Provisioned() bool { return r.State == "provisioned" }

// ShortKey is a prefix of the key that is long enough to select its dead letter, or empty.
func (r Request) ShortKey() string { return shortKey(r.Key) }
