//go:build bench

package bench

import (
	"bufio"
	"context"
	databasesql "database/sql"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nats-io/nats-server/v2/server"
	_ "modernc.org/sqlite"

	"example.com/tenant-provisioner/internal/testkit"
)

var ledgerRows = flag.Int("ledger", 1_000_000, "old requests in the ledger that TestPruning prunes")

// TestPruning prunes a large ledger while the service provisions tenants, and measures their latency and number beside
// the same time without pruning. It prints its tables; make bench does not run it.
func TestPruning(t *testing.T) {
	r := &report{}
	versions.nats = server.VERSION
	path := program(t)
	t.Run("postgres", func(t *testing.T) {
		p := newPruning(t, r, path, "PostgreSQL", startPostgres(t).URL)
		p.fill(t, "pgx", p.database, "docex_system.", "encode(sha256(n::text::bytea), 'hex')", "generate_series(1::bigint, $1::bigint) n",
			"timezone('utc', now()) - make_interval(days => 100 + (($1 - n) * %d / $1)::integer, secs => 43200 - n * 40000 / $1)")
		testkit.Must(t, connect(t, p.database).QueryRow(t.Context(), "SHOW server_version").Scan(&versions.postgres))
		p.measure(t)
	})
	t.Run("sqlite", func(t *testing.T) {
		p := newPruning(t, r, path, "SQLite", "sqlite:"+filepath.Join(t.TempDir(), "storage"))
		p.log = filepath.Join(strings.TrimPrefix(p.database, "sqlite:"), "tenant__docex_system_", "docex.db-wal")
		p.fill(t, "sqlite", "file:"+strings.TrimSuffix(p.log, "-wal")+"?_pragma=synchronous(OFF)&_pragma=cache_size(-500000)", "",
			"lower(hex(randomblob(32)))", "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < $1) SELECT n FROM c)",
			"strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now', (-100 - ($1 - n) * %d / $1) || ' days', (n * 40000 / $1 - 43200) || ' seconds')")
		p.measure(t)
	})
	t.Log(machine(t))
}

// pruning is a ledger with many old requests.
type pruning struct {
	*report
	program, engine string
	url, database   string
	load            *load
	log             string // SQLite's write-ahead log; empty: PostgreSQL
	rounds          int    // of the part that is left
}

func newPruning(t *testing.T, r *report, program, engine, database string) *pruning {
	t.Helper()
	p := &pruning{report: r, program: program, engine: engine, database: database}
	p.url, _ = startNATS(t)
	p.start(t).stop()
	p.load = newLoad(t, p.url)
	return p
}

func (p *pruning) start(t *testing.T, env ...string) *process {
	t.Helper()
	return startConsumer(t, p.program, append([]string{
		"NATS_URL=" + p.url, "DATABASE_URL=" + p.database, "PREPARED_BOUNDARIES=0",
	}, env...)...)
}

// fill copies the row of a provisioned request as often as asked, with other keys, over as many days as there are
// rounds, the first of them 100 days ago.
func (p *pruning) fill(t *testing.T, driver, name, schema, key, series, created string) {
	t.Helper()
	service := p.start(t)
	p.load.burst(t, 1)
	service.stop()
	p.rounds = 2 * *rounds
	db, err := databasesql.Open(driver, name)
	testkit.Must(t, err)
	defer db.Close()
	ctx := context.Background()
	began := time.Now()
	_, err = db.ExecContext(ctx, fmt.Sprintf(`INSERT INTO %[1]stenant_requests (request_key, source, request_id, tenant_id, state,
			replay, attempts, last_step, outcome_id, outcome, created_at, updated_at, history)
		SELECT %[2]s, source, 'old-' || n, 'old-' || n, state, replay, attempts, last_step, outcome_id, outcome, %[4]s, %[4]s, history
		FROM (SELECT * FROM %[1]stenant_requests LIMIT 1) r, %[3]s`, schema, key, series, fmt.Sprintf(created, p.rounds)), *ledgerRows)
	testkit.Must(t, err)
	if driver == "pgx" { // as autovacuum does
		_, err = db.ExecContext(ctx, "VACUUM ANALYZE docex_system.tenant_requests")
		testkit.Must(t, err)
	}
	t.Logf("%s: %d requests added in %s", p.engine, *ledgerRows, time.Since(began).Round(time.Second))
}

// side is what was measured with pruning, or without.
type side struct {
	took      time.Duration
	latencies []float64 // milliseconds
	rates     []float64 // tenants a second, by round
}

func (s *side) add(took time.Duration, latencies []float64) {
	s.took += took
	s.latencies = append(s.latencies, latencies...)
	s.rates = append(s.rates, rate(len(latencies), took))
}

// mean is the mean duration of a round.
func (s *side) mean() time.Duration { return s.took / time.Duration(max(len(s.rates), 1)) }

// idle measures without pruning for that time.
func (p *pruning) idle(t *testing.T, length time.Duration) (took time.Duration, latencies []float64) {
	t.Helper()
	service := p.start(t)
	defer service.stop()
	end := time.Now().Add(length)
	return p.drive(t, func() bool { return time.Now().After(end) })
}

// measure prunes a part of the ledger in each round, by the command and by the service.
func (p *pruning) measure(t *testing.T) {
	var lines [][]string
	for _, way := range []string{"consumer requests prune", "LEDGER_RETENTION"} {
		var with, without side
		var log int64
		for round := range *rounds {
			turns := []func(){
				func() {
					took, latencies, size := p.prune(t, way)
					with.add(took, latencies)
					log = max(log, size)
				},
				func() { without.add(p.idle(t, with.mean())) },
			}
			if round%2 == 1 {
				slices.Reverse(turns)
			}
			for _, turn := range turns {
				turn()
			}
		}
		pruned := *ledgerRows / 2
		line := []string{
			p.engine + ", " + way, fmt.Sprint(pruned), figure(with.took.Seconds()) + " s", figure(rate(pruned, with.took)),
			figure(median(without.rates)), figure(median(with.rates)),
			figure(median(without.latencies)), figure(median(with.latencies)),
			figure(quantile(without.latencies, 0.99)), figure(quantile(with.latencies, 0.99)),
			figure(slices.Max(without.latencies)), figure(slices.Max(with.latencies)),
		}
		if p.log != "" {
			line = append(line, mebibytes(int(log)))
		}
		lines = append(lines, line)
	}
	p.addTable(t, table{
		title: "Pruning beside the work, " + p.engine,
		text:  "Tenants a second: the median of the rounds. Latencies in milliseconds, of all requests.",
		head: []string{
			"", "requests pruned", "time", "a second", "tenants/s without", "with", "p50 without", "with", "p99 without", "with",
			"most without", "with", "largest log",
		},
		lines: lines,
	})
}

// prune prunes what is older than the youngest day but those of the rounds that are left, while the service works.
func (p *pruning) prune(t *testing.T, way string) (took time.Duration, latencies []float64, log int64) {
	t.Helper()
	p.rounds--
	age := fmt.Sprintf("%dh", 24*(100+p.rounds)-6)
	pruned := func() bool { return false }
	var service *process
	if way == "LEDGER_RETENTION" {
		service = p.start(t, "LEDGER_RETENTION="+age)
		log, err := os.Open(service.log)
		testkit.Must(t, err)
		defer log.Close()
		text, line := bufio.NewReader(log), ""
		pruned = func() bool { // it reads what is new: the log grows with every request
			for {
				part, err := text.ReadString('\n')
				if line += part; err != nil {
					return false
				}
				if strings.Contains(line, `"msg":"pruned the ledger"`) {
					return true
				}
				line = ""
			}
		}
	} else {
		service = p.start(t)
		command := exec.Command(p.program, "requests", "prune", "--older-than", age)
		command.Env = []string{"NATS_URL=" + p.url, "DATABASE_URL=" + p.database}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			} else {
				t.Logf("%s: %s", p.engine, out)
			}
		}()
		pruned = func() bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}
	}
	defer service.stop()
	took, latencies = p.drive(t, func() bool {
		if info, err := os.Stat(p.log); err == nil {
			log = max(log, info.Size())
		}
		return pruned()
	})
	return took, latencies, log
}

// clients is how many requests are on their way at a time.
const clients = 4

// drive sends requests, the next one when another has its outcome, until done. It returns how long each took, in
// milliseconds, from its confirmed publication.
func (p *pruning) drive(t *testing.T, done func() bool) (took time.Duration, latencies []float64) {
	t.Helper()
	sent := map[string]time.Time{}
	publish := func() {
		tenant := newTenant()
		request := p.load.requestFor(t, tenant)
		_, err := p.load.js.PublishMsg(context.Background(), request)
		testkit.Must(t, err)
		sent[tenant] = time.Now()
	}
	began := time.Now()
	for range clients {
		publish()
	}
	for ended := false; len(sent) > 0; {
		a := p.load.wait(t, 1)[0]
		latencies = append(latencies, milliseconds(a.at.Sub(sent[a.data.TenantID])))
		delete(sent, a.data.TenantID)
		if ended = ended || done(); !ended {
			publish()
		}
	}
	return time.Since(began), latencies
}
