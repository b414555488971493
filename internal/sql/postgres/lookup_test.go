package postgres

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
)

// names are a name server's answers: the name, how long each takes, and the address; empty: there is no such name.
type names map[string]struct {
	takes   time.Duration
	address string
}

const never = time.Hour

func (n names) lookUp(ctx context.Context, name string) ([]string, error) {
	entry := n[name]
	select {
	case <-time.After(entry.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if entry.address == "" {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []string{entry.address}, nil
}

// Names are looked up side by side. Those that are not answered in time do not keep the others from being used, unless
// connections fail without them.
func TestNamesAreLookedUpSideBySide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		names names
		tries int32 // that have failed before
		takes time.Duration
		known string // names with an address
	}{
		"all at once":         {names{"db1": {0, "10.0.0.1"}, "db2": {0, "10.0.0.2"}}, 0, 0, "db1 db2"},
		"one is slow":         {names{"db1": {0, "10.0.0.1"}, "db2": {800 * time.Millisecond, "10.0.0.2"}}, 0, 800 * time.Millisecond, "db1 db2"},
		"one is not answered": {names{"db1": {never, "10.0.0.1"}, "db2": {0, "10.0.0.2"}}, 0, lookupGrace, "db2"},
		"all are slow, such as behind a name server that is down": {
			names{"db1": {5 * time.Second, "10.0.0.1"}, "db2": {5100 * time.Millisecond, "10.0.0.2"}}, 0, 5100 * time.Millisecond, "db1 db2",
		},
		"one does not exist":                     {names{"db1": {0, ""}, "db2": {3 * time.Second, "10.0.0.2"}}, 0, 3 * time.Second, "db2"},
		"none is answered":                       {names{"db1": {never, "10.0.0.1"}, "db2": {never, "10.0.0.2"}}, 0, lookupTimeout, ""},
		"connections fail without the slow name": {names{"db1": {0, "10.0.0.1"}, "db2": {6 * time.Second, "10.0.0.2"}}, hastyTries, 6 * time.Second, "db1 db2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := Config{URL: "postgres://db1,db2/x"}.connector(forWork)
				k.lookup = c.names.lookUp
				k.tries.Store(c.tries)
				begun := time.Now()
				conn, err := k.settings(t.Context())
				if took := time.Since(begun); err != nil || took != c.takes {
					t.Errorf("took %s, want %s, %v", took, c.takes, err)
				}
				var known []string
				for _, name := range slices.Sorted(maps.Keys(c.names)) {
					addresses, err := conn.LookupFunc(t.Context(), name)
					if len(addresses) > 0 {
						known = append(known, name)
					} else if err == nil || !strings.Contains(err.Error(), name) {
						t.Errorf("%s: %v", name, err)
					}
					pending := c.names[name].takes > time.Since(begun)
					if strings.Contains(k.unanswered(), " "+name) != pending {
						t.Errorf("not answered: %q", k.unanswered())
					}
				}
				if got := strings.Join(known, " "); got != c.known {
					t.Errorf("known: %s, want %s", got, c.known)
				}
			})
		})
	}
}

// A look-up ends with its context.
func TestLookUpIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := Config{URL: "postgres://db1/x"}.connector(forWork)
		k.lookup = names{"db1": {never, "10.0.0.1"}}.lookUp
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := k.settings(ctx); err != nil || time.Since(begun) != time.Second {
			t.Errorf("%s, %v", time.Since(begun), err)
		}
	})
}

// The error of a connection names the host that is not answered, and so does that of a call whose time ends before.
func TestErrorNamesTheHostThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	k := Config{URL: "postgres://db1.internal/x"}.connector(forWork)
	k.lookup, k.within = names{"db1.internal": {never, "10.0.0.1"}}.lookUp, time.Millisecond
	_, err := k.connect(t.Context())
	var fault *pipeline.Fault
	if !errors.As(sharedFault(err), &fault) || fault.Class != pipeline.Outage || !strings.Contains(fault.Message, "name servers") ||
		!strings.Contains(fault.Error(), "db1.internal") {
		t.Errorf("%+v", fault)
	}
	s := &Store{connector: k}
	err = s.withUnanswered(sharedFault(context.DeadlineExceeded))
	if !pipeline.IsOutage(err) || !strings.Contains(err.Error(), "db1.internal") {
		t.Error(err)
	}
}
