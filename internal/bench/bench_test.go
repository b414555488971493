//go:build bench

package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

var (
	out     = flag.String("out", "", "the directory for the report; empty: it is only printed")
	rounds  = flag.Int("rounds", 5, "rounds of each comparison")
	tenants = flag.Int("tenants", 10_000, "tenants that are provisioned to make the database large")
)

// few is the number of tenants that the small database has at first.
const few = 100

func TestBench(t *testing.T) {
	r := &report{dir: *out}
	if r.dir != "" {
		testkit.Must(t, os.MkdirAll(r.dir, 0o755))
	}
	versions.nats = server.VERSION
	b := &bench{report: r, program: program(t)}
	t.Run("postgres", b.postgres)
	t.Run("sqlite", b.sqlite)
	if !t.Failed() {
		r.write(t)
	}
}

// bench is shared by the parts of a run.
type bench struct {
	*report
	program  string
	url      string // of NATS
	nats     *process
	database string // its URL
	load     *load
	db       *pgx.Conn
	latency  map[string][]float64 // milliseconds, by series
}

// open creates streams and registry, and connects to them.
func (b *bench) open(t testing.TB) {
	t.Helper()
	b.url, b.nats = startNATS(t)
	b.latency = map[string][]float64{}
	b.consumer(t).stop()
	b.load = newLoad(t, b.url)
	b.db = connect(t, b.database)
}

// consumer starts the program on the servers.
func (b *bench) consumer(t testing.TB, env ...string) *process {
	t.Helper()
	return startConsumer(t, b.program, append([]string{
		"NATS_URL=" + b.url, "DATABASE_URL=" + b.database, "PREPARED_BOUNDARIES=0",
	}, env...)...)
}

func (b *bench) postgres(t *testing.T) {
	pg := startPostgres(t)
	pg.Exec("CREATE DATABASE small")
	b.database = pg.URL
	b.open(t)
	small := &bench{report: b.report, program: b.program, database: strings.Replace(pg.URL, "/tenants?", "/small?", 1)}
	small.open(t)
	pg.Exec("CREATE ROLE plain LOGIN PASSWORD 'plain'", "CREATE DATABASE scripted OWNER plain")
	scripted := &bench{
		report: b.report, program: b.program, database: strings.Replace(pg.URLOf("plain", "plain"), "/tenants", "/scripted", 1),
	}
	scripted.open(t)
	testkit.Must(t, b.db.QueryRow(t.Context(), "SHOW server_version").Scan(&versions.postgres))

	small.grow(t, few)
	b.grow(t, few)
	b.prepared(t)
	b.distant(t)
	scripted.grow(t, few)
	b.scripted(t, scripted)
	b.besideDocEX(t)
	b.asAsked(t)
	b.burst(t)
	b.duplicates(t)
	before := b.size(t)
	b.add(t, row{
		what: fmt.Sprintf("resident memory of the consumer, %d tenants provisioned", *tenants),
		ours: []float64{float64(b.grow(t, *tenants)) / (1 << 20)}, unit: "MiB", goal: 60, atMost: true,
	})
	b.capacity(t, before, b.size(t), *tenants)
	b.large(t)
	b.grown(t, small)
	b.start(t)
	b.plotLatencies(t)
}

// asAsked measures throughput from request to outcome, against bare DDL on as many connections.
//
// Rounds are short and many: processor times differ by a third within a minute where others share the machine.
func (b *bench) asAsked(t *testing.T) {
	const parts = 2
	var levels []level
	var shares [][]string
	for _, workers := range []int{1, 2, 4, 8} {
		p := b.consumer(t, fmt.Sprint("CONCURRENCY=", workers))
		bare := newBareDDL(t, b.database, workers)
		n := 20 * min(workers, 3)
		b.load.burst(t, 10*workers) // warms both sides up: connections, caches, files
		bare.burst(t, 10*workers)
		var arrivals []arrival
		var ours, theirs usage
		m := b.meter(t, p)
		one := row{what: fmt.Sprintf("as asked, PostgreSQL, %d workers", workers), unit: "tenants/s"}
		if workers == 1 { // with more, consumer, NATS and load generator take processors from PostgreSQL
			one.goal = 0.95
		}
		cpu := row{what: fmt.Sprintf("as asked, %d workers: PostgreSQL's processor time a tenant", workers), unit: "ms", goal: 1.05, atMost: true}
		one.ours, one.bare = byTurns(parts**rounds, func() float64 {
			took, used := m.measure(t, func() (took time.Duration) {
				took, got := b.load.burst(t, n)
				arrivals = append(arrivals, got...)
				return took
			})
			ours = ours.plus(used)
			cpu.ours = append(cpu.ours, milliseconds(used[postgres])/float64(n))
			return rate(n, took)
		}, func() float64 {
			took, used := m.measure(t, func() time.Duration { return bare.burst(t, n) })
			theirs = theirs.plus(used)
			cpu.bare = append(cpu.bare, milliseconds(used[postgres])/float64(n))
			return rate(n, took)
		})
		b.add(t, one)
		b.add(t, cpu)
		levels = append(levels, level{workers, one})
		shares = append(shares, share(fmt.Sprint(workers), arrivals, ours.per(n*parts**rounds), theirs.per(n*parts**rounds), resident(t, p.Process.Pid)))
		p.stop()
		bare.close()
	}
	b.addTable(t, table{
		title: "Where the time goes, as asked",
		text: "Mean milliseconds a tenant: the steps as the outcomes report them (step 5 ends where its commit is sent), then " +
			"the processor time of each program beside that of PostgreSQL under bare DDL.",
		head: []string{
			"workers", "1 boundary", "2 tables", "3 indexes", "4 validate", "5 register", "CPU: PostgreSQL",
			"consumer", "NATS", "load generator", "bare: PostgreSQL", "consumer, resident",
		},
		lines: shares,
	})
	b.plotThroughput(t, levels)
}

// level is a comparison at a number of workers.
type level struct {
	workers int
	row
}

func share(name string, arrivals []arrival, ours, bare usage, memory int) []string {
	_, means := stepMeans(arrivals)
	cells := append([]string{name}, means...)
	for _, program := range []string{postgres, consumer, natsServer, generator} {
		cells = append(cells, figure(milliseconds(ours[program])))
	}
	return append(cells, figure(milliseconds(bare[postgres])), mebibytes(memory))
}

func mebibytes(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// pooled returns the number of prepared boundaries.
func (b *bench) pooled(t testing.TB) (n int) {
	t.Helper()
	testkit.Must(t, b.db.QueryRow(context.Background(), "SELECT count(*) FROM docex_system.prepared_boundaries").Scan(&n))
	return n
}

// filled waits until n boundaries are prepared.
func (b *bench) filled(t testing.TB, n int) {
	t.Helper()
	for began := time.Now(); b.pooled(t) < n; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d of %d boundaries after %s", b.pooled(t), n, patience)
		}
	}
}

// grown measures the latency of single prepared requests, against the same in a small database of the same server.
func (b *bench) grown(t *testing.T, small *bench) {
	one := row{
		what: fmt.Sprintf("growth: prepared, request → outcome, p50 at %d tenants, against the same at %d", b.count(t), small.count(t)),
		unit: "ms", goal: 1.2, atMost: true,
	}
	warm := func(side *bench) *process {
		p := side.consumer(t, fmt.Sprint("PREPARED_BOUNDARIES=", single))
		side.filled(t, single)
		side.load.latencies(t)
		return p
	}
	defer warm(b).stop()
	defer warm(small).stop()
	p50 := func(side *bench) func() float64 {
		return func() float64 {
			b.filled(t, single)
			small.filled(t, single)
			all, _ := side.load.latencies(t)
			b.latency[fmt.Sprintf("prepared, %s database", map[bool]string{true: "large", false: "small"}[side == b])] = all
			return median(all)
		}
	}
	one.ours, one.bare = byTurns(*rounds, p50(b), p50(small))
	b.add(t, one)
}

// scripted measures the latency of single prepared requests whose boundaries have the indexes of DocEX's listings,
// against the same without.
func (b *bench) scripted(t *testing.T, with *bench) {
	prepared := fmt.Sprint("PREPARED_BOUNDARIES=", single)
	p50 := func(side *bench) func() float64 {
		return func() float64 {
			b.filled(t, single)
			with.filled(t, single)
			all, _ := side.load.latencies(t)
			return median(all)
		}
	}
	defer b.consumer(t, prepared).stop()
	scripts, err := filepath.Abs("../../deploy/init-scripts/docex")
	testkit.Must(t, err)
	defer with.consumer(t, prepared, "INIT_SCRIPTS="+scripts).stop()
	for _, side := range []*bench{b, with} { // warm up
		p50(side)()
	}
	one := row{
		what: "prepared with the indexes of DocEX's listings, request → outcome, p50, against without", unit: "ms", goal: 1.1,
		atMost: true,
	}
	one.ours, one.bare = byTurns(*rounds, p50(with), p50(b))
	b.add(t, one)
}

// prepared measures the latency of single requests, against bare DDL on one connection.
func (b *bench) prepared(t *testing.T) {
	size := b.count(t)
	p := b.consumer(t, fmt.Sprint("PREPARED_BOUNDARIES=", single))
	defer p.stop()
	bare := newBareDDL(t, b.database, 1)
	defer bare.close()
	b.filled(t, single)
	b.load.latencies(t)
	bare.latencies(t)
	var arrivals []arrival
	one := row{
		what: fmt.Sprintf("prepared, PostgreSQL, request → outcome, p50 at %d tenants, against bare DDL on one connection", size),
		unit: "ms", goal: 0.11, atMost: true,
	}
	late := row{what: "the same, p95", unit: "ms"}
	one.ours, one.bare = byTurns(*rounds, func() float64 {
		b.filled(t, single)
		all, got := b.load.latencies(t)
		arrivals = append(arrivals, got...)
		b.latency["prepared"] = append(b.latency["prepared"], all...)
		late.ours = append(late.ours, quantile(all, 0.95))
		return median(all)
	}, func() float64 {
		b.filled(t, single) // otherwise the pool is filled at the same time
		all := bare.latencies(t)
		b.latency["bare DDL"] = append(b.latency["bare DDL"], all...)
		late.bare = append(late.bare, quantile(all, 0.95))
		return median(all)
	})
	for _, a := range arrivals {
		if !a.data.Prepared {
			t.Fatalf("tenant %s was not prepared", a.data.TenantID)
		}
	}
	b.add(t, one)
	b.add(t, late)
	names, cells := stepMeans(arrivals)
	b.addTable(t, table{
		title: fmt.Sprintf("Where the time goes, prepared, at %d tenants", size),
		text:  "Mean milliseconds a tenant, as the outcomes report them, and the median from request to outcome.",
		head:  append(names, "request → outcome"),
		lines: [][]string{append(cells, figure(median(one.ours)))},
	})
}

// distant is prepared with a network between both sides and PostgreSQL, where round trips decide.
func (b *bench) distant(t *testing.T) {
	url := delayed(t, b.database, delay)
	far := *b
	far.database = url
	p := far.consumer(t, fmt.Sprint("PREPARED_BOUNDARIES=", single))
	defer p.stop()
	bare := newBareDDL(t, url, 1)
	defer bare.close()
	b.filled(t, single)
	b.load.latencies(t)
	bare.latencies(t)
	one := row{what: fmt.Sprintf("prepared, p50, with %s of network delay to the database for both", delay), unit: "ms"}
	one.ours, one.bare = byTurns(*rounds, func() float64 {
		b.filled(t, single)
		all, _ := b.load.latencies(t)
		return median(all)
	}, func() float64 {
		b.filled(t, single)
		return median(bare.latencies(t))
	})
	b.add(t, one)
}

// burst measures many requests at once, all prepared, against a bare loop of renames. The processor time of a tenant is
// compared with that of PostgreSQL for bare DDL.
func (b *bench) burst(t *testing.T) {
	const n = 500
	p := b.consumer(t, fmt.Sprint("PREPARED_BOUNDARIES=", n))
	defer p.stop()
	bare := newBareRename(t, b.database, n)
	b.filled(t, n)
	ddl := newBareDDL(t, b.database, 1)
	defer ddl.close()
	ddl.burst(t, few)
	m := b.meter(t, p)
	one := row{what: fmt.Sprintf("prepared, burst of %d", n), unit: "tenants/s", goal: 0.2}
	cpu := row{what: "the same: PostgreSQL's processor time a tenant, against that of bare DDL", unit: "ms", goal: 0.06, atMost: true}
	own := row{what: "the same: the consumer's processor time a tenant, against that of PostgreSQL for bare DDL", unit: "ms", goal: 0.03, atMost: true}
	one.ours, one.bare = byTurns(min(*rounds, 3), func() float64 { // each waits until the pool is full
		b.filled(t, n)
		took, used := m.measure(t, func() time.Duration {
			took, arrivals := b.load.burst(t, n)
			for _, a := range arrivals {
				if !a.data.Prepared {
					t.Fatalf("tenant %s was not prepared", a.data.TenantID)
				}
			}
			return took
		})
		cpu.ours = append(cpu.ours, milliseconds(used[postgres])/n)
		own.ours = append(own.ours, milliseconds(used[consumer])/n)
		return rate(n, took)
	}, func() float64 {
		b.filled(t, n)
		_, used := m.measure(t, func() time.Duration { return ddl.burst(t, few) })
		cpu.bare = append(cpu.bare, milliseconds(used[postgres])/few)
		return rate(n, bare.burst(t))
	})
	own.bare = cpu.bare
	for _, r := range []row{one, cpu, own} {
		b.add(t, r)
	}
}

// duplicates measures requests that already have an outcome, against a bare loop of JetStream calls.
func (b *bench) duplicates(t *testing.T) {
	const n, workers = 2000, 4
	p := b.consumer(t, fmt.Sprint("CONCURRENCY=", workers))
	defer p.stop()
	_, arrivals := b.load.burst(t, 1)
	stream, err := b.load.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	stored, err := stream.GetLastMsgForSubject(t.Context(), events.TypeProvisioned)
	testkit.Must(t, err)
	if !strings.Contains(string(stored.Data), arrivals[0].data.TenantID) {
		t.Fatal("the last outcome is another request's")
	}
	bare := newBarePull(t, b.load.js, &nats.Msg{Subject: stored.Subject, Header: stored.Header, Data: stored.Data})
	message := b.load.last.Data
	b.load.duplicates(t, n/4)
	bare.burst(t, n/4, workers, message)
	one := row{what: "duplicates of finished requests", unit: "messages/s", goal: 0.5}
	one.ours, one.bare = byTurns(*rounds, func() float64 {
		return rate(n, b.load.duplicates(t, n))
	}, func() float64 {
		return rate(n, bare.burst(t, n, workers, message))
	})
	b.add(t, one)
}

// count returns the number of registered tenants.
func (b *bench) count(t testing.TB) (n int) {
	t.Helper()
	testkit.Must(t, b.db.QueryRow(context.Background(), "SELECT count(*) FROM docex_system.tenant_registry").Scan(&n))
	return n
}

// grow provisions n tenants, and returns the resident memory of the program afterwards, in bytes.
func (b *bench) grow(t *testing.T, n int) (memory int) {
	p := b.consumer(t, "CONCURRENCY=8")
	defer p.stop()
	for left := n; left > 0; left -= 500 {
		b.load.burst(t, min(left, 500))
	}
	return resident(t, p.Process.Pid)
}

// large measures throughput in a database with many tenants, against bare DDL in the same. One worker, as where few
// tenants have the same goal: with more, the programs beside PostgreSQL take its processors, at any number of tenants.
func (b *bench) large(t *testing.T) {
	const n = 20
	size := b.count(t)
	p := b.consumer(t, "CONCURRENCY=1")
	defer p.stop()
	bare := newBareDDL(t, b.database, 1)
	defer bare.close()
	b.load.burst(t, n)
	bare.burst(t, n)
	one := row{what: fmt.Sprintf("growth: as asked, one worker, at %d tenants", size), unit: "tenants/s", goal: 0.95}
	one.ours, one.bare = byTurns(2**rounds, func() float64 {
		took, _ := b.load.burst(t, n)
		return rate(n, took)
	}, func() float64 { return rate(n, bare.burst(t, n)) })
	b.add(t, one)
}

// start measures from the start of the program to its first outcome, that of a finished request.
func (b *bench) start(t *testing.T) {
	p := b.consumer(t)
	b.load.burst(t, 1)
	p.stop()
	var took []float64
	answers := make(chan time.Time, 1)
	subscription, err := b.load.nc.Subscribe(events.TypeProvisioned, func(*nats.Msg) { answers <- time.Now() })
	testkit.Must(t, err)
	defer subscription.Unsubscribe()
	for range *rounds {
		publishAll(t, b.load.js, 1, func(int) *nats.Msg { return b.load.last })
		began := time.Now()
		p := b.consumer(t)
		took = append(took, (<-answers).Sub(began).Seconds())
		p.stop()
	}
	b.add(t, row{what: "start to the first message pulled, decided and answered", ours: took, unit: "s", goal: 1, atMost: true})
}

// meter returns a meter of the programs of a run.
func (b *bench) meter(t testing.TB, p *process) meter {
	t.Helper()
	return meter{map[string]int{
		postgres: parent(t, int(b.db.PgConn().PID())), consumer: p.Process.Pid, natsServer: b.nats.Process.Pid, generator: self,
	}}
}

// sqlite measures SQLite with the embedded server, against bare copies of a finished file.
func (b *bench) sqlite(t *testing.T) {
	const workers, n = 4, 500
	storage := filepath.Join(t.TempDir(), "storage")
	addr := testkit.FreeAddr(t)
	p := startConsumer(t, b.program, "DATABASE_URL=sqlite:"+storage, "NATS_EMBEDDED_ADDR="+addr, fmt.Sprint("CONCURRENCY=", workers),
		"NATS_EMBEDDED_DIR="+filepath.Join(t.TempDir(), "nats"))
	defer p.stop()
	l := newLoad(t, "nats://"+addr)
	_, arrivals := l.burst(t, 100)
	bare := newBareCopy(t, arrivals[0].data.DatabasePath)
	bare.burst(t, 100, workers)
	var all []arrival
	one := row{what: fmt.Sprintf("SQLite, embedded NATS, request → outcome, %d workers, against bare copies", workers), unit: "tenants/s", goal: 0.4}
	one.ours, one.bare = byTurns(*rounds, func() float64 {
		took, got := l.burst(t, n)
		all = append(all, got...)
		return rate(n, took)
	}, func() float64 { return rate(n, bare.burst(t, n, workers)) })
	b.add(t, one)
	names, cells := stepMeans(all)
	b.addTable(t, table{
		title: "Where the time goes, SQLite", text: "Mean milliseconds a tenant, as the outcomes report them; workers share the disk.",
		head: names, lines: [][]string{cells},
	})
	const requests = 12_000
	for done := 100 + *rounds*n; done < requests; done += n {
		l.burst(t, n)
	}
	b.add(t, row{
		what: fmt.Sprintf("resident memory of the consumer with embedded NATS, after %d requests", requests),
		ours: []float64{float64(resident(t, p.Process.Pid)) / (1 << 20)}, unit: "MiB", goal: 110, atMost: true,
	})
}
