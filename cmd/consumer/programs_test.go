package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// programs holds the real program, each variant built at its first use. It is global because TestMain removes it.
var programs builds

type builds struct {
	mu    sync.Mutex
	dir   string
	built map[variant]func() (string, error)
}

// variant is what the real program is built of.
type variant struct {
	from string // commit or tag in the history; empty: these sources
	tags string
}

// path returns the path of the built program.
func (b *builds) path(v variant) (string, error) {
	b.mu.Lock()
	build := b.built[v]
	if build == nil {
		if b.dir == "" {
			dir, err := os.MkdirTemp("", "consumer-test-") // outlives the test
			if err != nil {
				b.mu.Unlock()
				return "", err
			}
			b.dir, b.built = dir, map[variant]func() (string, error){}
		}
		path := filepath.Join(b.dir, fmt.Sprintf("consumer-%d", len(b.built)))
		build = sync.OnceValues(func() (string, error) { return path, v.build(path) })
		b.built[v] = build
	}
	b.mu.Unlock()
	return build()
}

func (b *builds) remove() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

// build builds the program at path. Sources from the history are extracted next to it.
func (v variant) build(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var source string
	if v.from != "" {
		source = path + ".source"
		if err := extract(ctx, v.from, source); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", v.tags, "-o", path, "./cmd/consumer")
	if cmd.Dir = source; source == "" {
		cmd.Dir = "../.."
	}
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0") // as make build does, so that the build is cached
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// extract writes the sources of a commit of this repository to a new directory.
func extract(ctx context.Context, commit, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	archive := to + ".tar"
	for _, args := range [][]string{
		{"git", "-C", "../..", "archive", "--output", archive, commit},
		{"tar", "-x", "-f", archive, "-C", to},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("extract %s: %w: %s (a shallow clone lacks the history: git fetch --unshallow --tags)",
				commit, err, out)
		}
	}
	return nil
}

// realProgram returns the path of the real program.
func realProgram(t *testing.T) string {
	t.Helper()
	path, err := programs.path(variant{})
	testkit.Must(t, err)
	return path
}
