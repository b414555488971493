package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// process is the running real program.
type process struct {
	*exec.Cmd
	stdout, stderr testkit.Output
	done           chan error
}

// launch starts the real program with nothing in its environment but env; the test's end kills it. The test fails if the
// program has found that database and streams do not belong together: these tests restore neither.
func launch(t *testing.T, env map[string]string, args ...string) *process {
	t.Helper()
	return launchBuilt(t, "", env, args...)
}

// launchBuilt is launch of the program as it is built with the tags.
func launchBuilt(t *testing.T, tags string, env map[string]string, args ...string) *process {
	t.Helper()
	return launchVariant(t, variant{tags: tags}, env, args...)
}

func launchVariant(t *testing.T, v variant, env map[string]string, args ...string) *process {
	t.Helper()
	path, err := programs.path(v)
	testkit.Must(t, err)
	p := &process{Cmd: exec.Command(path, args...), done: make(chan error, 1)} // killed below
	p.Env = []string{"HOME=" + t.TempDir()}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		p.Env = append(p.Env, name+"="+env[name])
	}
	p.Dir = t.TempDir()
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	// The kernel continues the stopped processes of an orphaned process group.
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: env["FREEZE_AT"] != ""}
	testkit.Must(t, p.Start())
	go func() { p.done <- p.Wait() }()
	t.Cleanup(func() {
		p.Process.Kill() // it may have ended
		p.wait(t)
		if strings.Contains(p.stderr.String(), handler.ErrRestored.Error()) {
			t.Error("a false alarm of the guard")
		}
		if t.Failed() {
			t.Logf("consumer %v\nstdout:\n%s\nstderr:\n%s", args, &p.stdout, testkit.Tail(p.stderr.String()))
		}
	})
	return p
}

// wait returns the exit code, -1 where a signal ended it.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return exitCode(err)
	case <-time.After(testkit.Patience):
		t.Fatal("the process does not end")
		return 0
	}
}

// signal sends a signal. Before it writes its first line, on a busy machine after seconds, the program does not handle
// any: SIGTERM would end it like SIGKILL.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if s == syscall.SIGTERM {
		testkit.Eventually(t, "the program has started", func() bool { return p.stdout.String()+p.stderr.String() != "" })
	}
	testkit.Must(t, p.Process.Signal(s))
}

// The program is killed repeatedly, at random moments: every request has one outcome, and the registry matches the
// outcomes.
func TestKilledAndRestarted(t *testing.T) {
	t.Parallel()
	const requests, kills = 120, 3
	d, nats := newSQLite(t), t.TempDir()
	env := settings(d.env, with("NATS_EMBEDDED_DIR", nats), with("ACK_WAIT", "1s"), with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)))
	p := launch(t, env)
	url := testkit.Logged(t, &p.stderr, "embedded NATS server is up", "url")
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	js := natstest.JetStream(t, url)
	f := startLoad(t, js, requests, 10*time.Millisecond) // slow enough for work to remain at the last kill
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range kills {
		// At a random moment after a random step of a random request.
		steps := strings.Count(p.stderr.String(), "Step ") + 1 + random.IntN(60)
		testkit.Eventually(t, "the program is at work", func() bool {
			return strings.Count(p.stderr.String(), "Step ") >= steps || f.published.Load() == requests && isSettled(t, js)
		})
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
		p.signal(t, syscall.SIGKILL)
		testkit.Equal(t, "exit code", p.wait(t), -1)
		p = launch(t, env)
		testkit.Logged(t, &p.stderr, "taking requests", "workers")
	}
	f.awaitAllPublished(t, testkit.Patience)
	js = natstest.JetStream(t, url)
	awaitSettled(t, js)
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, fmt.Sprintf("outcomes (seed %d)", seed), countOutcomes(t, outcomes), fmt.Sprintf("provisioned %d", requests))
	var named []string
	for _, e := range outcomes {
		named = append(named, e.Subject())
	}
	slices.Sort(named)
	if registered := d.tenants(); !slices.Equal(registered, named) {
		t.Errorf("seed %d: registered %v, outcomes for %v", seed, registered, named)
	}
	for _, tenant := range named {
		testkit.Equal(t, "tables of "+tenant, fmt.Sprint(d.rows(tenant, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'")), "[11]")
	}
	testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
	p.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", p.wait(t), 0)
}

func TestSignalsEndTheServiceInOrder(t *testing.T) {
	t.Parallel()
	const drain = 2 * testkit.Patience // longer than the test waits
	// A terminal that closes, and some supervisors, send SIGHUP in addition, and signals may arrive in another order.
	for name, signals := range map[string][2]syscall.Signal{
		"SIGTERM": {syscall.SIGTERM, syscall.SIGHUP}, "SIGINT": {syscall.SIGINT, syscall.SIGHUP},
		"SIGHUP": {syscall.SIGHUP, syscall.SIGHUP}, "SIGHUP before SIGTERM": {syscall.SIGHUP, syscall.SIGTERM},
		"SIGHUP before SIGINT": {syscall.SIGHUP, syscall.SIGINT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newSQLite(t)
			p := launch(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("DRAIN_TIMEOUT", drain.String())))
			url := testkit.Logged(t, &p.stderr, "embedded NATS server is up", "url")
			testkit.Logged(t, &p.stderr, "taking requests", "workers")
			js := natstest.JetStream(t, url)
			for i := range 20 {
				publish(t, js, requestFor(t, fmt.Sprint(i), fmt.Sprintf("tenant_%d", i)))
			}
			p.signal(t, signals[0])
			if signals[0] == syscall.SIGHUP {
				testkit.Logged(t, &p.stderr, "stopping", "within")
			}
			if err := p.Process.Signal(signals[1]); !errors.Is(err, os.ErrProcessDone) { // it has ended already
				testkit.Must(t, err)
			}
			testkit.Equal(t, "exit code", p.wait(t), 0)
			testkit.Logged(t, &p.stderr, "stopped", "level")
			testkit.Equal(t, "stdout", p.stdout.String(), "")
			// Running attempts were finished: nothing is under construction.
			testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
		})
	}
}

// The real program logs to stderr, writes results to stdout, and has the exit codes of the contract.
func TestRealProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		env    map[string]string
		code   int
		stdout string
		stderr string
	}{
		"help":      {args: []string{"--help"}, stdout: "Available Commands"},
		"config":    {args: []string{"config"}, stdout: "CONCURRENCY=4\n"},
		"usage":     {args: []string{"provision"}, code: 2, stderr: "provision"},
		"bad value": {args: []string{"run"}, env: with("CONCURRENCY", "many"), code: 2, stderr: "CONCURRENCY"},
		"no server": {args: []string{"watch"}, env: with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)), code: 1, stderr: "consumer run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, c.env, c.args...)
			testkit.Equal(t, "exit code", p.wait(t), c.code)
			for what, text := range map[string][2]string{
				"stdout": {p.stdout.String(), c.stdout}, "stderr": {p.stderr.String(), c.stderr},
			} {
				if c.stdout == "" && what == "stdout" || c.stderr == "" && what == "stderr" {
					testkit.Equal(t, what, text[0], "")
				}
				testkit.Contains(t, what, text[0], text[1])
			}
		})
	}
}

// A second instance reports what is in use, and the first one is unaffected.
func TestSecondInstanceIsRefused(t *testing.T) {
	t.Parallel()
	d, dir, addr := newSQLite(t), t.TempDir(), testkit.FreeAddr(t)
	first := launch(t, settings(d.env, with("NATS_EMBEDDED_DIR", dir), with("NATS_EMBEDDED_ADDR", addr)))
	testkit.Logged(t, &first.stderr, "taking requests", "workers")

	for name, c := range map[string]struct {
		dir, addr string
		want      []string
	}{
		"same address":           {t.TempDir(), addr, []string{"NATS_EMBEDDED_ADDR", addr, "NATS_URL=nats://" + addr}},
		"same directory":         {dir, testkit.FreeAddr(t), []string{"NATS_EMBEDDED_DIR", dir, "in use"}},
		"same address and files": {dir, addr, []string{"NATS_EMBEDDED_ADDR"}},
	} {
		second := launch(t, settings(d.env, with("NATS_EMBEDDED_DIR", c.dir), with("NATS_EMBEDDED_ADDR", c.addr)))
		testkit.Equal(t, name+": exit code", second.wait(t), 1)
		testkit.Contains(t, name, second.stderr.String(), c.want...)
	}
	// As the error suggests: on the first one's server.
	third := launch(t, settings(d.env, with("NATS_URL", "nats://"+addr)))
	testkit.Logged(t, &third.stderr, "taking requests", "workers")
	third.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", third.wait(t), 0)

	js := natstest.JetStream(t, "nats://"+addr)
	publish(t, js, requestFor(t, "order", "acme"))
	awaitSettled(t, js)
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "provisioned 1")
	first.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", first.wait(t), 0)
}

// Servers may start in any order.
func TestServiceWaitsForNATS(t *testing.T) {
	t.Parallel()
	d, addr := newSQLite(t), testkit.FreeAddr(t)
	p := launch(t, settings(d.env, with("NATS_URL", "nats://"+addr), with("HTTP_ADDR", "127.0.0.1:0")))
	http := "http://" + testkit.Logged(t, &p.stderr, "HTTP server is up", "addr")
	testkit.Logged(t, &p.stderr, "waiting for NATS", "error")
	awaitNotReady(t, http, "connection refused; check NATS_URL")
	natstest.Start(t, func(o *server.Options) { o.Port = int(netip.MustParseAddrPort(addr).Port()) })
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	testkit.Eventually(t, "ready", func() bool { code, _ := get(t, http+"/readyz"); return code == 200 })
	p.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", p.wait(t), 0)
}

func TestServiceWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	env := settings(with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0"),
		with("DATABASE_URL", "postgres://someone:s3cret@"+testkit.FreeAddr(t)+"/tenants"))
	p := launch(t, env)
	http := "http://" + testkit.Logged(t, &p.stderr, "HTTP server is up", "addr")
	testkit.Logged(t, &p.stderr, "waiting for the database", "error")
	awaitNotReady(t, http, "database")
	code, _ := get(t, http+"/livez")
	testkit.Equal(t, "/livez", code, 200)
	p.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", p.wait(t), 0)
	if strings.Contains(p.stderr.String(), "s3cret") {
		t.Error("the log holds the password")
	}
}

// A stop while a call to a server hangs is not a failure either.
func TestStopWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"database", "NATS"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			addr, connected := silentServer(t)
			env := settings(with("NATS_EMBEDDED_DIR", t.TempDir()), with("DATABASE_URL", "postgres://someone@"+addr+"/tenants"))
			if engine == "NATS" {
				env["NATS_URL"], env["DATABASE_URL"] = "nats://"+addr, newSQLite(t).env["DATABASE_URL"]
			}
			p := launch(t, env)
			select {
			case <-connected:
			case <-time.After(testkit.Patience):
				t.Fatal("no client connects")
			}
			p.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", p.wait(t), 0)
		})
	}
}

// silentServer accepts connections and never answers.
func silentServer(t *testing.T) (addr string, connected <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, l.Close()) })
	first := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			first <- struct{}{}
			go func() {
				io.Copy(io.Discard, conn) // until the client gives up
				conn.Close()
			}()
		}
	}()
	return l.Addr().String(), first
}

// The demo of the real program reads standard input and removes its directory.
func TestRealDemoReadsStandardInput(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), realProgram(t), "demo", "-", "--json")
	cmd.Env = []string{"TMPDIR=" + temp}
	cmd.Stdin = bytes.NewReader(requestFor(t, "order", "acme").Data)
	out, err := cmd.Output()
	testkit.Must(t, err)
	e, err := events.Decode(nats.Header{"content-type": {events.ContentType}}, out)
	testkit.Must(t, err)
	testkit.Equal(t, "outcome", e.ID(), events.OutcomeID(billing, "order", 0, events.TypeProvisioned))
	entries, err := os.ReadDir(temp)
	testkit.Must(t, err)
	testkit.Equal(t, "directory entries", len(entries), 0)
}

// A refused user may be accepted later: the service waits for that, and log and /readyz name the reason. Commands fail.
func TestRefusedByNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "me", "right" })
	addr := strings.TrimPrefix(s, "nats://")
	r := start(t, settings(newSQLite(t).env, with("NATS_URL", "nats://me:"+secret+"@"+addr), with("HTTP_ADDR", "127.0.0.1:0")), "run")
	awaitNotReady(t, "http://"+testkit.Logged(t, &r.stderr, "HTTP server is up", "addr"), "Authorization Violation; check user and password")
	testkit.Logs(t, &r.stderr, "Authorization Violation; check user and password")
	testkit.Equal(t, "exit code", r.stop(t), 0)
	if strings.Contains(r.stderr.String(), secret) {
		t.Error("the log holds the password")
	}
	for _, args := range [][]string{{"watch"}, requestArgs("acme")} {
		code, _, stderr := command(t, with("NATS_URL", "nats://me:"+secret+"@"+addr), args...)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "stderr", strings.ToLower(stderr), "authorization")
	}
}
