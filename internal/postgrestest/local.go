package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/tenant-provisioner/internal/porttest"
)

// localTimeout bounds the start of a server and the creation of its directory. A server that was killed first syncs
// every file of its directory; a tenant has about sixty.
const localTimeout = 4 * time.Minute

// startLocal starts a private server from this machine's programs, in a temporary directory and on a free port of the
// loopback address. Every user of this machine may connect to it; it holds test data only.
func startLocal(ctx context.Context) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	bin, err := findPrograms(installations, exec.LookPath)
	if err != nil {
		return nil, err
	}
	dir, err := newDirectory(ctx, bin, "initdb", initdb...)
	if err != nil {
		return nil, err
	}
	// Another test binary can take a free port before the server has bound it. The server then exits immediately, as it
	// does for other reasons, so a few retries do no harm.
	for range 3 {
		var port int
		if port, err = freePort(ctx); err != nil {
			break
		}
		var p *process
		if p, err = serve(ctx, bin, dir, port, settings); err == nil {
			return &server{
				name: "programs in " + bin,
				url:  localURL(port, "postgres"),
				stop: func(ctx context.Context) error { return errors.Join(p.end(ctx), os.RemoveAll(dir)) },
			}, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

func localURL(port int, database string) *url.URL {
	return &url.URL{
		Scheme: "postgres", User: url.User("postgres"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
}

// installations is where Debian installs the programs of each version; it does not add them to PATH.
const installations = "/usr/lib/postgresql/*/bin"

// findPrograms returns the directory of initdb and postgres: that of the highest version that matches the pattern,
// otherwise the one on PATH.
func findPrograms(pattern string, lookPath func(string) (string, error)) (string, error) {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	best, version := "", -1.0
	for _, dir := range dirs {
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64) // 9.6, 15, 17
		if err == nil && v > version && hasPrograms(dir) {
			best, version = dir, v
		}
	}
	if best != "" {
		return best, nil
	}
	path, err := lookPath("initdb")
	if err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && hasPrograms(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	return "", fmt.Errorf("initdb and postgres are neither in %s nor on PATH", pattern)
}

func hasPrograms(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// initdb has the arguments of the program of that name.
var initdb = []string{"--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"}

// newDirectory creates the directory of a server: the program creates its files in data, and the server logs to log.
func newDirectory(ctx context.Context, bin, program string, args ...string) (string, error) {
	attr, owner, err := processAttributes()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(tempDir(owner != nil), "postgrestest-")
	if err != nil {
		return "", err
	}
	if owner != nil {
		err = os.Chown(dir, owner.uid, owner.gid)
	}
	if err == nil {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, program),
			append([]string{"--pgdata=" + filepath.Join(dir, "data")}, args...)...)
		cmd.SysProcAttr = attr
		cmd.Dir = dir // the owner may have no access to the directory of the test
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%s: %w: %s", program, err, lastLines(out))
		}
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// tempDir returns the directory for temporary files, or /tmp if another user could not enter that.
func tempDir(forAnotherUser bool) string {
	tmp := os.TempDir()
	if !forAnotherUser {
		return tmp
	}
	for dir := tmp; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
			return "/tmp"
		}
		if dir == filepath.Dir(dir) {
			return tmp
		}
	}
}

// serve starts the server of the directory on the port and waits until it accepts connections.
func serve(ctx context.Context, bin, dir string, port int, settings []string) (*process, error) {
	messages, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = messages.Close() }()

	// No Unix socket: its path may have at most 107 bytes, and TMPDIR may be longer.
	args := []string{
		"-D", filepath.Join(dir, "data"), "-c", "unix_socket_directories=",
		"-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(port),
	}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), args...) //nolint:noctx // outlives ctx; stop ends it
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, messages, messages
	p, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	if err := p.untilReady(ctx, dir); err != nil {
		return nil, errors.Join(err, p.end(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func freePort(ctx context.Context) (int, error) {
	addr, err := porttest.Free(ctx)
	return int(addr.Port()), err
}

// process is a running postgres.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startProcess starts the command as a user that postgres accepts. The command ends with this process.
func startProcess(cmd *exec.Cmd) (*process, error) {
	attr, _, err := processAttributes()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = attr
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent-death signal is sent when the thread that started the process ends. So that thread is kept until the
		// process has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // its ProcessState has the result
		}
		close(p.done)
	}()
	return p, <-started
}

// untilReady reads the status that the server writes to its directory. A connection would prove less: another
// PostgreSQL may have taken the port.
func (p *process) untilReady(ctx context.Context, dir string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		note, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if lines := strings.Split(string(note), "\n"); len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready" {
			return nil
		}
		select {
		case <-p.done:
			messages, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("postgres ended, %s: %s", p.cmd.ProcessState, lastLines(messages))
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// end stops the server without a checkpoint and waits until it has ended.
func (p *process) end(ctx context.Context) error {
	return p.endBy(ctx, syscall.SIGQUIT) // postgres calls this an immediate shutdown
}

func (p *process) endBy(ctx context.Context, s os.Signal) error {
	_ = p.cmd.Process.Signal(s) // it may have ended
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		err := p.cmd.Process.Kill()
		<-p.done
		return errors.Join(ctx.Err(), err)
	}
}

// lastLines returns the end of a program's output, for an error.
func lastLines(messages []byte) string {
	lines := strings.Split(strings.TrimSpace(string(messages)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
