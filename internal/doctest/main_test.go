package doctest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// root is the relative path of the module's directory.
const root = "../.."

const (
	// patience bounds each wait. Only a failing test waits that long, so it allows for a slow machine.
	patience = 5 * time.Minute
	// buildTimeout bounds the first build of a program on this machine, with downloads.
	buildTimeout = 9 * time.Minute
)

// programs are the programs that documents run, built once. It is global because TestMain removes them.
var programs = &builds{}

type builds struct {
	mu    sync.Mutex
	dir   string
	built map[string]func() error
}

func TestMain(m *testing.M) {
	code := postgrestest.Run(m)
	if err := programs.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func (b *builds) remove() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

// path returns the path of the program of that name, which go build creates from these arguments.
func (b *builds) path(name string, args ...string) (string, error) {
	b.mu.Lock()
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "doctest-") // outlives the test
		if err != nil {
			b.mu.Unlock()
			return "", err
		}
		b.dir, b.built = dir, map[string]func() error{}
	}
	path := filepath.Join(b.dir, name)
	build := b.built[name]
	if build == nil {
		build = sync.OnceValue(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", path}, args...)...)
			cmd.Dir = root
			cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0") // as in make test, so that the build cache has the result
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build %s: %w\n%s", name, errors.Join(err, ctx.Err()), out)
			}
			return nil
		})
		b.built[name] = build
	}
	b.mu.Unlock()
	return path, build()
}

// consumer returns the path of the program.
func consumer(t *testing.T) string {
	t.Helper()
	path, err := programs.path("consumer", "./cmd/consumer")
	testkit.Must(t, err)
	return path
}

// natsCLI returns the path of the nats command line.
func natsCLI(t *testing.T) string {
	t.Helper()
	path, err := programs.path("nats", "-modfile=.ci/nats.mod", "github.com/nats-io/natscli/nats")
	testkit.Must(t, err)
	return path
}

// output returns what a command writes to stdout. The command must exit with 0.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}
