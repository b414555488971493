package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// settings are those of the servers that are started here.
var settings = []string{
	"fsync=off", // the data is discarded in any case
	"full_page_writes=off",
	"synchronous_commit=on", // as in production: code must switch it off explicitly
	"max_connections=200",   // maxDatabases times the pools of a test that runs several programs
	// One provisioning transaction takes about 110 locks; tests also put hundreds of tenants into one.
	"max_locks_per_transaction=256",
}

// server is a running PostgreSQL with a role that may create databases.
type server struct {
	name   string   // its source, for messages
	passed string   // the sources tried before and why they failed, for messages
	url    *url.URL // of its maintenance database
	stop   func(context.Context) error
}

// source is one way to get a server.
type source struct {
	name string
	// start returns a server, or the reason why it is not available here.
	start func(context.Context) (*server, error)
	// only: no other source may replace this one.
	only bool
}

// sources returns the sources in the order in which they are tried.
func sources(getenv func(string) string) []source {
	if u := getenv("TEST_DATABASE_URL"); u != "" {
		return []source{{
			name:  "TEST_DATABASE_URL",
			start: func(ctx context.Context) (*server, error) { return connectTo(ctx, u) },
			only:  true,
		}}
	}
	image := getenv("TEST_POSTGRES_IMAGE")
	if image == "" {
		image = "postgres:17-alpine"
	}
	return []source{
		{
			name:  "TEST_DATABASE_URL",
			start: func(context.Context) (*server, error) { return nil, errors.New("is not set") },
		},
		{
			name:  "container " + image,
			start: func(ctx context.Context) (*server, error) { return startContainer(ctx, image) },
		},
		{
			name:  "programs of this machine",
			start: startLocal,
		},
	}
}

// firstOf returns the server of the first source that has one. Its error names every source that was tried, its reason,
// and what to do.
func firstOf(ctx context.Context, from []source) (*server, error) {
	var tried strings.Builder
	for _, s := range from {
		got, err := s.start(ctx)
		if err == nil {
			got.passed = tried.String()
			return got, nil
		}
		fmt.Fprintf(&tried, "\n  %s: %v", s.name, err)
		if s.only {
			return nil, fmt.Errorf("postgrestest: the PostgreSQL of TEST_DATABASE_URL is not usable:%s"+
				"\nCorrect TEST_DATABASE_URL, or unset it to have a server started", tried.String())
		}
	}
	return nil, fmt.Errorf("postgrestest: no PostgreSQL for the tests. Tried:%s"+
		"\nDo one of these:"+
		"\n  apt-get install postgresql (the tests start a private server, no service is needed)"+
		"\n  start Docker, and have the image pulled or a registry reachable (TEST_POSTGRES_IMAGE names another image)"+
		"\n  set TEST_DATABASE_URL=postgres://user:password@host:5432/postgres, with a role that has CREATEDB",
		tried.String())
}

// connectTo uses a server that is already running; it is not stopped.
func connectTo(ctx context.Context, rawURL string) (*server, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of url.Parse repeats the URL, and with it the password.
		return nil, errors.New("is not a URL")
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("is not a postgres:// URL; the form key=value is not supported here")
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var mayCreate bool
	err = withConn(ctx, u, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user`).
			Scan(&mayCreate)
	})
	if err != nil {
		return nil, err
	}
	if !mayCreate {
		return nil, errors.New("the role may not create databases; as a superuser: ALTER ROLE … CREATEDB")
	}
	return &server{
		name: "TEST_DATABASE_URL",
		url:  u,
		stop: func(context.Context) error { return nil },
	}, nil
}

// withConn runs f on a connection of its own. These administrative calls are too rare for a pool, and a pool would have
// to be closed before the check for leaked goroutines.
func withConn(ctx context.Context, u *url.URL, f func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	return f(c)
}
