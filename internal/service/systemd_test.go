package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/testkit"
)

// supervisor receives what a process reports to systemd.
type supervisor struct {
	t    *testing.T
	conn *net.UnixConn
}

// listenAsSystemd opens the socket of that name and puts it into the environment.
func listenAsSystemd(t *testing.T, name string) supervisor {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	testkit.Must(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return supervisor{t, conn}
}

// await receives messages until one contains all parts, and returns it.
func (s supervisor) await(parts ...string) string {
	s.t.Helper()
	testkit.Must(s.t, s.conn.SetReadDeadline(time.Now().Add(testkit.Patience)))
	var received []string
	for {
		buffer := make([]byte, 64<<10)
		n, err := s.conn.Read(buffer)
		if err != nil {
			s.t.Fatalf("no message with %q: %v; received %q", parts, err, received)
		}
		message := string(buffer[:n])
		received = append(received, message)
		found := true
		for _, part := range parts {
			found = found && strings.Contains(message, part)
		}
		if found {
			return message
		}
	}
}

// runService runs the service as the command does. The result of Run is in ended after stop.
func runService(t *testing.T, env map[string]string) (stop func(), ended chan error) {
	t.Helper()
	env["HTTP_ADDR"] = "127.0.0.1:0"
	lookup := envconfig.MapLookuper(env)
	c, err := config.Load(t.Context(), lookup)
	testkit.Must(t, err)
	log, lines := telemetry.NewBufferedLogger(io.Discard, c.LogLevel, c.LogFormat)
	t.Cleanup(lines.Close)
	ctx, stop := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- Run(ctx, lookup, c, log, lines) }()
	return stop, ended
}

// systemd learns that the service has started although its database is unavailable, why it is not ready, when it is, and
// how long it may take to stop. The socket is a file or, as in containers, abstract.
func TestSystemdIsNotified(t *testing.T) {
	for kind, name := range map[string]string{
		"file": filepath.Join(t.TempDir(), "notify"), "abstract": fmt.Sprintf("@tenant-provisioner-%d", time.Now().UnixNano()),
	} {
		t.Run(kind, func(t *testing.T) {
			manager := listenAsSystemd(t, name)
			silent := strings.TrimPrefix(natstest.Silent(t), "nats://")
			stop, ended := runService(t, map[string]string{
				"NATS_URL": natstest.Start(t), "DATABASE_URL": "postgres://me@" + silent + "/tenants",
			})
			manager.await("READY=1", "\nSTATUS=Not ready: starting")
			manager.await("STATUS=Not ready: starting: waiting for the database")
			stop()
			manager.await("STOPPING=1", "\nSTATUS=Stopping within 7s")
			testkit.Equal(t, "time to stop", manager.await("EXTEND_TIMEOUT_USEC="), "EXTEND_TIMEOUT_USEC=12000000")
			testkit.Must(t, testkit.Receive(t, "the service ends", ended))
		})
	}
	t.Run("ready", func(t *testing.T) {
		manager := listenAsSystemd(t, filepath.Join(t.TempDir(), "notify"))
		stop, ended := runService(t, map[string]string{
			"NATS_URL": natstest.Start(t), "DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "storage"),
		})
		manager.await("STATUS=Ready")
		stop()
		testkit.Equal(t, "time to stop", manager.await("EXTEND_TIMEOUT_USEC="), "EXTEND_TIMEOUT_USEC=37000000")
		testkit.Must(t, testkit.Receive(t, "the service ends", ended))
	})
}

// The watchdog is fed while the process is alive, also while it stops, and no longer.
func TestSystemdWatchdog(t *testing.T) {
	manager := listenAsSystemd(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "100000")
	var hangs atomic.Bool
	s := newSystemd(slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	began := time.Now() // before the goroutine: its ticker may start first
	go func() {
		defer close(done)
		s.run(func() error {
			if hangs.Load() {
				return errors.New("hangs")
			}
			return nil
		}, func() error { return nil })
	}()
	manager.await("READY=1", "STATUS=Ready")
	for range 3 {
		testkit.Equal(t, "message", manager.await("WATCHDOG"), "WATCHDOG=1")
	}
	if took := time.Since(began); took < 3*50*time.Millisecond {
		t.Errorf("three messages within %s: more than one in half of WATCHDOG_USEC", took)
	}
	s.stop(time.Second)
	manager.await("STOPPING=1")
	manager.await("WATCHDOG=1")
	hangs.Store(true)
	s.end()
	testkit.Receive(t, "the goroutine ends", done)

	s = newSystemd(slog.New(slog.DiscardHandler))
	asked := make(chan struct{}, 100)
	go s.run(func() error { asked <- struct{}{}; return errors.New("hangs") }, func() error { return errors.New("now this") })
	defer s.end()
	manager.await("READY=1", "now this")
	for range 3 {
		testkit.Receive(t, "the watchdog's turn", asked)
	}
	s.stop(time.Second)
	for { // everything that was sent until it stopped
		message := manager.await("")
		testkit.Lacks(t, "message of a process that hangs", message, "WATCHDOG")
		if strings.Contains(message, "STOPPING") {
			break
		}
	}
}

// A systemd that reads nothing does not keep the service from stopping.
func TestSystemdThatHangs(t *testing.T) {
	listenAsSystemd(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "200") // the socket's buffer is full at once
	stop, ended := runService(t, map[string]string{
		"NATS_URL": natstest.Start(t), "DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "storage"),
	})
	time.Sleep(200 * time.Millisecond) // more than 1,000 messages
	stop()
	testkit.Must(t, testkit.Receive(t, "the service ends", ended))
}

// Without systemd, and with a socket that does not exist, the service works.
func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	s := newSystemd(slog.New(slog.DiscardHandler))
	unused := func() error { t.Error("a probe is read"); return nil }
	s.run(unused, unused) // returns at once
	s.stop(time.Second)

	var log testkit.Output
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "missing"))
	s = newSystemd(slog.New(slog.NewTextHandler(&log, nil)))
	go s.run(func() error { return nil }, func() error { return nil })
	testkit.Logs(t, &log, "could not notify systemd", "missing")
	s.end()
}

// A reason cannot set variables of systemd, and its message is not too long.
func TestStatusLine(t *testing.T) {
	t.Parallel()
	testkit.Equal(t, "status", statusLine(errors.New("a\nMAINPID=1\x00\xffb")), "Not ready: a MAINPID=1 \ufffdb")
	if long := statusLine(errors.New(strings.Repeat("x", 9000))); len(long) > 2048 {
		t.Errorf("%d bytes", len(long))
	}
}
