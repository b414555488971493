//go:build bench

package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// natsConfig names the file that makes this test binary a NATS server, in a process of its own.
const natsConfig = "BENCH_NATS_SERVER"

func TestMain(m *testing.M) {
	if config := os.Getenv(natsConfig); config != "" {
		runNATS(config)
	}
	os.Exit(m.Run())
}

// runNATS runs a NATS server until its standard input is closed.
func runNATS(config string) {
	options, err := server.ProcessConfigFile(config)
	if err == nil {
		var s *server.Server
		if s, err = server.NewServer(options); err == nil {
			s.ConfigureLogger()
			s.Start()
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// process is a running program. It ends with the test at the latest.
type process struct {
	*exec.Cmd
	log   string // the file with its standard error
	ended chan struct{}
}

func start(t testing.TB, dir string, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(path, args...), log: filepath.Join(t.TempDir(), "log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	testkit.Must(t, err)
	defer log.Close()
	p.Env, p.Dir, p.Stdout, p.Stderr = env, dir, log, log
	_, err = p.StdinPipe() // closed when this process ends, even if it is killed
	testkit.Must(t, err)
	testkit.Must(t, p.Start())
	go func() {
		defer close(p.ended)
		p.Wait()
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s: %s", path, p.tail())
		}
	})
	return p
}

// stop ends the process as an operator does, and waits.
func (p *process) stop() {
	p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		p.Process.Kill()
		<-p.ended
	}
}

func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-2000):])
}

// until waits for words in the process's log.
func (p *process) until(t testing.TB, words string) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(p.log)
		testkit.Must(t, err)
		if strings.Contains(string(text), words) {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s has ended: %s", p.Path, p.tail())
		default:
		}
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("%s does not log %q: %s", p.Path, words, p.tail())
		}
	}
}

// startNATS starts a server that syncs every write, and returns its URL.
func startNATS(t testing.TB) (url string, p *process) {
	t.Helper()
	addr, dir := testkit.FreeAddr(t), t.TempDir()
	config := filepath.Join(dir, "nats.conf")
	testkit.Must(t, os.WriteFile(config, fmt.Appendf(nil,
		"listen: %q\njetstream { store_dir: %q, sync_interval: always }\n", addr, dir), 0o600))
	p = start(t, dir, []string{natsConfig + "=" + config}, os.Args[0])
	p.until(t, "Server is ready")
	return "nats://" + addr, p
}

// postgresSettings are those of a server that syncs and has the memory that its manual recommends. With less, a
// benchmark of many tenants would measure reads of the catalogues from the operating system's cache.
var postgresSettings = []string{"fsync=on", "shared_buffers=4GB", "max_wal_size=8GB"}

func startPostgres(t testing.TB) *postgrestest.Server {
	t.Helper()
	return postgrestest.Private(t, postgresSettings...)
}

// program builds the consumer once.
func program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "consumer")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "example.com/tenant-provisioner/cmd/consumer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the consumer: %v\n%s", err, out)
	}
	return path
}

// startConsumer starts the program and waits until it accepts requests.
func startConsumer(t testing.TB, path string, env ...string) *process {
	t.Helper()
	p := start(t, t.TempDir(), append([]string{"HTTP_ADDR=", "LOG_FORMAT=json"}, env...), path)
	p.until(t, "taking requests")
	return p
}
