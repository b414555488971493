package natsconn

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxRefusals is how many subjects are remembered: more than the service publishes on, without those that have an id.
const maxRefusals = 64

// refusals are the last permission violations that the server reported, by subject. The server reports them apart from
// the operation, which only times out.
type refusals struct {
	mu   sync.Mutex
	last map[string]refusal
}

type refusal struct {
	at  time.Time
	err error
}

var publication = regexp.MustCompile(`Publish to "([^"]+)"`)

// note records an error of the connection, if it is a violation of the permission to publish.
func (r *refusals) note(err error) {
	found := publication.FindStringSubmatch(err.Error())
	if found == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[string]refusal{}
	}
	r.last[found[1]] = refusal{time.Now(), err}
	if len(r.last) > maxRefusals {
		delete(r.last, slices.MinFunc(slices.Collect(maps.Keys(r.last)), func(a, b string) int {
			return r.last[a].at.Compare(r.last[b].at)
		}))
	}
}

// of returns the newest violation since the time for a subject with the prefix, or nil.
func (r *refusals) of(prefix string, since time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest refusal
	for subject, found := range r.last {
		if strings.HasPrefix(subject, prefix) && !found.at.Before(since) && found.at.After(newest.at) {
			newest = found
		}
	}
	return newest.err
}
