package postgres

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// connectTimeout is how long connecting takes, for all hosts together; connect_timeout in the URL replaces it. Each
	// address gets an equal share, and at least minShare.
	connectTimeout = 5 * time.Second
	minShare       = time.Second
	// lookupTimeout is how long the names of the hosts are looked up, before connecting. It is longer than a resolver
	// waits for its first name server, 5 s by default, so that the second one can answer.
	lookupTimeout = 8 * time.Second
	// lookupGrace is how long a name is waited for once the name of another host is known.
	lookupGrace = time.Second
	// hastyTries is how many connections in a row may fail before all names are waited for again.
	hastyTries = 2
)

// unanswered describes the names of hosts that no name server answers, or returns "".
func (k *connector) unanswered() string {
	if names := k.waitingFor.Load(); names != nil && *names != "" {
		return "no answer from the name servers for " + *names + ", in DATABASE_URL; check them, and the name"
	}
	return ""
}

// prepare looks the names of all hosts up, and divides the time to connect among their addresses. A name that is not
// answered is an error of its host alone.
func (k *connector) prepare(ctx context.Context, conn *pgx.ConnConfig) {
	var names []string
	for _, host := range hostsOf(conn) {
		if !filepath.IsAbs(host.name) && !slices.Contains(names, host.name) {
			names = append(names, host.name)
		}
	}
	lookup := k.lookup
	if conn.LookupFunc != nil { // of hostaddr
		lookup = conn.LookupFunc
	}
	grace := k.within
	if k.tries.Add(1) <= hastyTries {
		grace = lookupGrace
	}
	k.note(names)
	begun := time.Now()
	answers := k.lookUpAll(ctx, lookup, names, grace)
	k.note(slices.DeleteFunc(names, func(name string) bool { _, found := answers[name]; return found }))
	waited := time.Since(begun).Round(time.Second)
	conn.LookupFunc = func(_ context.Context, name string) ([]string, error) {
		if a, found := answers[name]; found {
			return a.addresses, a.err
		}
		return nil, &net.DNSError{
			Name: name, Err: fmt.Sprintf("no answer from the name servers within %s", waited), IsTimeout: true,
		}
	}
	conn.ConnectTimeout = max(conn.ConnectTimeout/time.Duration(addressesOf(conn, answers)), minShare)
}

func (k *connector) note(names []string) {
	all := strings.Join(names, ", ")
	k.waitingFor.Store(&all)
}

// answer is what the name servers know about a name.
type answer struct {
	addresses []string
	err       error
}

// lookUpAll looks names up side by side and returns those that are answered. After the first that has an address, it
// waits for the others only for a while.
func (k *connector) lookUpAll(
	ctx context.Context, lookup pgconn.LookupFunc, names []string, grace time.Duration,
) map[string]answer {
	ctx, cancel := context.WithTimeout(ctx, k.within)
	defer cancel()
	type named struct {
		name string
		answer
	}
	found := make(chan named, len(names))
	for _, name := range names {
		go func() {
			addresses, err := lookup(ctx, name)
			found <- named{name, answer{addresses, err}}
		}()
	}
	answers := map[string]answer{}
	var enough <-chan time.Time
	for len(answers) < len(names) {
		select {
		case n := <-found:
			if ctx.Err() != nil && n.err != nil { // not an answer: the time is over
				return answers
			}
			answers[n.name] = n.answer
			if n.err == nil && enough == nil {
				enough = time.After(grace)
			}
		case <-enough:
			return answers
		case <-ctx.Done():
			return answers
		}
	}
	return answers
}

// addressesOf returns how many addresses the driver tries one after the other, each with a timeout of its own. The same
// address twice in a row has one.
func addressesOf(conn *pgx.ConnConfig, answers map[string]answer) int {
	var all []string
	for _, host := range entriesOf(conn) {
		addresses := answers[host.name].addresses
		if filepath.IsAbs(host.name) {
			addresses = []string{host.name}
		}
		for _, address := range addresses {
			all = append(all, net.JoinHostPort(address, strconv.Itoa(int(host.port))))
		}
	}
	return max(len(slices.Compact(all)), 1)
}

// lookUp looks a name up. Unlike the resolver's LookupHost, it returns as soon as ctx ends.
func lookUp(ctx context.Context, name string) (addresses []string, err error) {
	found, err := net.DefaultResolver.LookupIPAddr(ctx, name)
	for _, address := range found {
		addresses = append(addresses, address.String())
	}
	return addresses, err
}

// lookUpKnown returns a function that knows the addresses of some names and looks the others up.
func lookUpKnown(known map[string][]string, lookup pgconn.LookupFunc) pgconn.LookupFunc {
	return func(ctx context.Context, name string) ([]string, error) {
		if addresses := known[name]; len(addresses) > 0 {
			return addresses, nil
		}
		return lookup(ctx, name)
	}
}
