package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql/pgscript"
	"example.com/tenant-provisioner/internal/testkit"
)

// The scripts of these tests do what the grammar refuses, as computed text could. Their statements end with ";;" at the end of a line.
func init() {
	parseScript = func(s pipeline.Script) (all []pgscript.Statement, faults []error) {
		line := 1
		for text := range strings.SplitSeq(s.Text, ";;\n") {
			rest := strings.TrimLeft(text, "\n")
			if rest != "" {
				all = append(all, pgscript.Statement{Text: rest, Line: line + len(text) - len(rest)})
			}
			line += strings.Count(text, "\n") + 1
		}
		return all, nil
	}
}

// fence is a database with a neighbour, and a plain role for the service, which owns everything in it.
type fence struct {
	t          *testing.T
	admin, url string // of a superuser, and of the role
	role       string
}

func newFence(t *testing.T) fence {
	t.Helper()
	f := fence{t: t, admin: postgrestest.Database(t), role: "service_" + strings.ToLower(rand.Text())}
	u, err := url.Parse(f.admin)
	testkit.Must(t, err)
	u.User = url.UserPassword(f.role, "secret")
	f.url = u.String()
	f.exec("CREATE ROLE "+f.role+" LOGIN PASSWORD 'secret'", "CREATE ROLE "+f.role+"_app",
		"GRANT CREATE, TEMPORARY ON DATABASE "+quote(strings.TrimPrefix(u.Path, "/"))+" TO "+f.role,
		"GRANT CREATE ON SCHEMA public TO "+f.role)
	t.Cleanup(func() {
		f.exec("DROP OWNED BY "+f.role+"_app CASCADE", "DROP OWNED BY "+f.role+" CASCADE",
			"DROP ROLE "+f.role+", "+f.role+"_app")
	})
	return f
}

// exec runs statements as a superuser.
func (f fence) exec(statements ...string) { f.execAs(f.admin, statements...) }

func (f fence) execAs(url string, statements ...string) {
	f.t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	testkit.Must(f.t, err)
	defer conn.Close(context.Background())
	for _, s := range statements {
		if _, err := conn.Exec(context.Background(), s); err != nil {
			f.t.Fatalf("%s: %v", s, err)
		}
	}
}

// text returns what a query of a superuser returns.
func (f fence) text(query string, args ...any) (s string) {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.admin)
	testkit.Must(f.t, err)
	defer conn.Close(context.Background())
	testkit.Must(f.t, conn.QueryRow(f.t.Context(), query, args...).Scan(&s))
	return s
}

func (f fence) config(texts ...string) Config {
	c := Config{
		URL: f.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 2, CreatedBy: "test",
		Log: slog.New(slog.DiscardHandler),
	}
	if len(texts) > 0 {
		c.Scripts = &pipeline.Scripts{Timeout: 30 * time.Second}
	}
	for i, text := range texts {
		name := fmt.Sprintf("%03d.sql", i)
		c.Scripts.Files = append(c.Scripts.Files, pipeline.Script{
			Name: name, Text: text, SHA256: fmt.Sprintf("%x", text), Prepare: strings.HasPrefix(text, "-- provisioner: prepare"),
		})
	}
	return c
}

func (f fence) open(c Config) *Store {
	f.t.Helper()
	s, err := Open(f.t.Context(), c)
	testkit.Must(f.t, err)
	f.t.Cleanup(func() { testkit.Must(f.t, s.Close()) })
	return s
}

// use makes the store run other scripts.
func (s *Store) use(t *testing.T, c Config) {
	t.Helper()
	parsed, err := parseScripts(c.Scripts)
	testkit.Must(t, err)
	parsed.catalogues = s.scripts.catalogues
	s.scripts = parsed
	s.reference.Store(nil) // it is of other scripts
}

var serial atomic.Int64

const displayName = "Ä 'Customer'"

// provision makes an attempt as the pipeline does.
func provision(ctx context.Context, s *Store, tenant string) (boundary pipeline.Boundary, err error) {
	e, err := events.NewRequested("/test", fmt.Sprintf("r-%d", serial.Add(1)),
		events.Requested{TenantID: tenant, DisplayName: displayName, CreatedBy: "billing"})
	if err != nil {
		return boundary, err
	}
	claim, err := s.Claim(ctx, pipeline.Request{Event: e}, tenant, pipeline.Limit{Attempts: 3, Lease: time.Minute})
	if err != nil {
		return boundary, err
	}
	opened, err := s.Begin(ctx, claim, tenant)
	if err != nil {
		return boundary, err
	}
	b := opened.(*build)
	defer b.Close(context.WithoutCancel(ctx))
	if boundary, err = b.CreateBoundary(ctx); err != nil {
		return boundary, err
	}
	if err := b.CreateTables(ctx, nil); err != nil {
		return boundary, err
	}
	if _, err := b.CreateIndexes(ctx); err != nil {
		return boundary, err
	}
	if _, err := b.Inspect(ctx); err != nil {
		return boundary, err
	}
	t := pipeline.Tenant{
		ID: tenant, DisplayName: displayName, IsolationStrategy: events.IsolationSchema, Boundary: boundary,
		CreatedAt: time.Now(), CreatedBy: "billing", Definition: s.Definition(),
	}
	_, err = b.RunScripts(ctx, pipeline.Values{
		TenantID: tenant, DisplayName: t.DisplayName, CreatedBy: t.CreatedBy, Plan: s.connector.config.Scripts.Rehearsed()[0],
	})
	if err != nil {
		return boundary, err
	}
	in, err := b.Inspect(ctx)
	if err == nil {
		if err = differing(in.Differences); err != nil {
			err = pipeline.Permanentf(events.CauseInitScriptFailed, "%v", err)
		}
	}
	if err != nil {
		return boundary, err
	}
	if _, err := b.LoadSeeds(ctx, pipeline.Values{TenantID: tenant}); err != nil {
		return boundary, err
	}
	if err := b.CheckConfined(ctx); err != nil {
		return boundary, err
	}
	return boundary, b.Register(ctx, t, pipeline.Outcome{ID: uuid.NewString(), Body: []byte("{}")})
}

// scriptFailed returns the fault of a script that failed for good.
func scriptFailed(t *testing.T, err error) *pipeline.Fault {
	t.Helper()
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.Class != pipeline.Permanent || fault.Code != events.CauseInitScriptFailed {
		t.Fatalf("got %v (%+v), want %s", err, fault, events.CauseInitScriptFailed)
	}
	return fault
}

// hidden runs statements in a way that no look at the script reveals.
func hidden(statements string) string {
	return "DO $hidden$ BEGIN\n\tEXECUTE replace($text$" + strings.ReplaceAll(statements, "E", "~") + "$text$, '~', 'E');\nEND $hidden$;;\n"
}
