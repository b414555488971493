package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// repository is the commit that is released.
type repository struct {
	dir      string
	revision string
	time     time.Time // SOURCE_DATE_EPOCH, else the commit's
}

// openRepository inspects the clone in dir, which must not have uncommitted changes.
func openRepository(ctx context.Context, dir string) (*repository, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &repository{dir: dir}
	if r.revision, err = r.git(ctx, "rev-parse", "HEAD"); err != nil {
		return nil, err
	}
	changes, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	if changes != "" {
		return nil, fmt.Errorf("there are uncommitted changes; commit or stash them, or release from a clone:\n%s",
			changes)
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		if epoch, err = r.git(ctx, "log", "-1", "--format=%ct"); err != nil {
			return nil, err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds", epoch)
	}
	r.time = time.Unix(seconds, 0).UTC()
	return r, nil
}

func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.dir}, args...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// documents are the files of the repository that an archive includes for operators, without the licences.
func (r *repository) documents(ctx context.Context) (all []file, _ error) {
	listed, err := r.git(ctx, "ls-files", "-z", "--stage", "README.md", "CHANGELOG.md", "SECURITY.md", "docs", "deploy")
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(strings.TrimRight(listed, "\x00"), "\x00") {
		about, path, ok := strings.Cut(entry, "\t")
		if !ok {
			return nil, fmt.Errorf("git ls-files: %q is not what was expected", entry)
		}
		mode := int64(0o644)
		if strings.HasPrefix(about, "100755 ") {
			mode = 0o755
		}
		text, err := os.ReadFile(filepath.Join(r.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, file{path: path, mode: mode, text: text})
	}
	return all, nil
}

// licences are the files with which the program may be distributed. make licenses writes them, except LICENSE.
func (r *repository) licences() (all []file, _ error) {
	for _, path := range []string{"LICENSE", "NOTICE", "internal/licenses/THIRD_PARTY_LICENSES.txt"} {
		text, err := os.ReadFile(filepath.Join(r.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, file{path: filepath.Base(path), mode: 0o644, text: text})
	}
	return all, nil
}
