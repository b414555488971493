//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/testkit"
)

// The bare side of each ratio: only the work itself.

// spread runs n calls on as many goroutines as there are workers, and returns how long all took.
func spread(n, workers int, call func(worker int) error) (time.Duration, error) {
	calls := make(chan struct{}, n)
	for range n {
		calls <- struct{}{}
	}
	close(calls)
	faults := make(chan error, n)
	var work sync.WaitGroup
	began := time.Now()
	for worker := range workers {
		work.Go(func() {
			for range calls {
				if err := call(worker); err != nil {
					faults <- err
				}
			}
		})
	}
	work.Wait()
	took := time.Since(began)
	select {
	case err := <-faults:
		return 0, err
	default:
		return took, nil
	}
}

// bareRegistration inserts the row that registers a tenant.
const bareRegistration = `INSERT INTO docex_system.tenant_registry (tenant_id, display_name, isolation_strategy, schema_name,
	created_at, created_by, last_updated_at) VALUES ('{tenant}', 'Bench Inc.', 'schema', '{schema}', now(), 'bench', now()); COMMIT`

// bareDDL provisions by hand: the DDL of one tenant and its row in the registry, one transaction in one message.
type bareDDL struct {
	text  string
	conns []*pgx.Conn
}

func newBareDDL(t testing.TB, url string, connections int) *bareDDL {
	t.Helper()
	b := &bareDDL{text: "BEGIN; CREATE SCHEMA {schema};\n"}
	for _, file := range []string{"tables", "indexes"} {
		text, err := os.ReadFile("../sql/postgres/queries/" + file + ".sql")
		testkit.Must(t, err)
		b.text += string(text)
	}
	b.text += bareRegistration
	for range connections {
		b.conns = append(b.conns, connect(t, url))
	}
	return b
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	testkit.Must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (b *bareDDL) close() {
	for _, conn := range b.conns {
		conn.Close(context.Background())
	}
}

func run(conn *pgx.Conn, text string) error {
	_, err := conn.PgConn().Exec(context.Background(), text).ReadAll()
	return err
}

// one provisions a tenant on a connection.
func (b *bareDDL) one(worker int) (schema string, err error) {
	tenant := newTenant()
	schema = "bare_" + tenant
	return schema, run(b.conns[worker], strings.NewReplacer("{schema}", schema, "{tenant}", tenant).Replace(b.text))
}

// statements returns those of a tenant up to its registration, in a transaction that stays open.
func (b *bareDDL) statements(schema string) string {
	return strings.ReplaceAll(strings.TrimSuffix(b.text, bareRegistration), "{schema}", schema)
}

// burst provisions n tenants on all connections at once.
func (b *bareDDL) burst(t testing.TB, n int) time.Duration {
	t.Helper()
	took, err := spread(n, len(b.conns), func(worker int) error {
		_, err := b.one(worker)
		return err
	})
	testkit.Must(t, err)
	return took
}

// latencies provisions tenants one after the other, and returns how long each took in milliseconds.
func (b *bareDDL) latencies(t testing.TB) (all []float64) {
	t.Helper()
	for range single {
		began := time.Now()
		_, err := b.one(0)
		testkit.Must(t, err)
		all = append(all, milliseconds(time.Since(began)))
	}
	return all
}

// bareRename renames finished schemas and inserts a row for each, one transaction each.
type bareRename struct {
	conn    *pgx.Conn
	schemas []string
}

func newBareRename(t testing.TB, url string, n int) *bareRename {
	t.Helper()
	ddl := newBareDDL(t, url, 2)
	defer ddl.close()
	r := &bareRename{conn: connect(t, url)}
	var mu sync.Mutex
	_, err := spread(n, 2, func(worker int) error {
		schema, err := ddl.one(worker)
		mu.Lock()
		defer mu.Unlock()
		r.schemas = append(r.schemas, schema)
		return err
	})
	testkit.Must(t, err)
	return r
}

func (r *bareRename) burst(t testing.TB) time.Duration {
	t.Helper()
	began := time.Now()
	for i, schema := range r.schemas {
		tenant := newTenant()
		r.schemas[i] = "bare_" + tenant
		testkit.Must(t, run(r.conn, strings.NewReplacer("{from}", schema, "{schema}", r.schemas[i], "{tenant}", tenant).Replace(
			"BEGIN; ALTER SCHEMA {from} RENAME TO {schema}; "+bareRegistration,
		)))
	}
	return time.Since(began)
}

// bareCopy creates files by hand: it writes a finished file beside its final name, syncs and renames it, and syncs its
// directory.
type bareCopy struct {
	content []byte
	root    string
}

func newBareCopy(t testing.TB, finished string) *bareCopy {
	t.Helper()
	content, err := os.ReadFile(finished)
	testkit.Must(t, err)
	return &bareCopy{content: content, root: t.TempDir()}
}

func (c *bareCopy) one() error {
	dir := filepath.Join(c.root, newTenant())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "new"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(c.content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, "docex.db")); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (c *bareCopy) burst(t testing.TB, n, workers int) time.Duration {
	t.Helper()
	took, err := spread(n, workers, func(int) error { return c.one() })
	testkit.Must(t, err)
	return took
}

// barePull pulls messages, publishes one for each and waits for its confirmation, then acknowledges and waits for that,
// as every consumer must that loses nothing.
type barePull struct {
	js       jetstream.JetStream
	consumer jetstream.Consumer
	answer   *nats.Msg // the stream knows its id, as that of a finished request
}

func newBarePull(t testing.TB, js jetstream.JetStream, answer *nats.Msg) *barePull {
	t.Helper()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare"}})
	testkit.Must(t, err)
	consumer, err := js.CreateConsumer(t.Context(), "BARE", jetstream.ConsumerConfig{
		Durable: "bare", AckPolicy: jetstream.AckExplicitPolicy,
	})
	testkit.Must(t, err)
	return &barePull{js: js, consumer: consumer, answer: answer}
}

// burst processes n messages, which are in the stream before the time starts.
func (p *barePull) burst(t testing.TB, n, workers int, message []byte) time.Duration {
	t.Helper()
	publishAll(t, p.js, n, func(int) *nats.Msg { return &nats.Msg{Subject: "bare", Data: message} })
	messages, err := p.consumer.Messages(jetstream.PullMaxMessages(1))
	testkit.Must(t, err)
	defer messages.Stop()
	took, err := spread(n, workers, func(int) error {
		msg, err := messages.Next()
		for errors.Is(err, jetstream.ErrNoHeartbeat) { // the client pulls again; the median is without such a round
			msg, err = messages.Next()
		}
		if err != nil {
			return err
		}
		if _, err := p.js.PublishMsg(context.Background(), p.answer); err != nil {
			return err
		}
		return msg.DoubleAck(context.Background())
	})
	testkit.Must(t, err)
	return took
}

// publishAll publishes n messages and waits until the stream has stored all.
func publishAll(t testing.TB, js jetstream.JetStream, n int, message func(i int) *nats.Msg) {
	t.Helper()
	acks := make([]jetstream.PubAckFuture, n)
	for i := range acks {
		ack, err := js.PublishMsgAsync(message(i))
		testkit.Must(t, err)
		acks[i] = ack
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			t.Fatal(err)
		case <-time.After(patience):
			t.Fatal(fmt.Errorf("a publication is not confirmed after %s", patience))
		}
	}
}
