package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// standard is the name under which Go's own packages are listed. Their version is that of the toolchain.
const standard = "Go standard library"

// module is a module that is compiled into the program, with what is compiled of it on any released platform.
type module struct {
	path, version string
	dir           string
	dirs          map[string]bool // of compiled packages
	files         map[string]bool // compiled or embedded
}

// compiled returns the modules that are compiled into the program, in the order of their paths.
func compiled(ctx context.Context, repository string) ([]*module, error) {
	found := map[string]*module{}
	for _, platform := range platforms {
		cmd := exec.CommandContext(ctx, "go", "list", "-deps",
			"-json=ImportPath,Dir,Root,Standard,Module,GoFiles,SFiles,HFiles,EmbedFiles", "./cmd/consumer")
		cmd.Dir = repository
		cmd.Env = append(cmd.Environ(), "GOOS=linux", "GOARCH="+platform, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if err := add(found, strings.NewReader(string(out))); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *module) int { return cmp.Compare(a.path, b.path) }), nil
}

// add adds the packages that go list -json printed.
func add(found map[string]*module, list io.Reader) error {
	for packages := json.NewDecoder(list); ; {
		var p struct {
			Dir, Root string
			Standard  bool
			Module    *struct {
				Path, Version, Dir string
				Main               bool
			}
			GoFiles, SFiles, HFiles, EmbedFiles []string
		}
		switch err := packages.Decode(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		of := module{path: standard, dir: p.Root}
		switch {
		case p.Standard:
		case p.Module == nil:
			return fmt.Errorf("%s has no module", p.Dir)
		case p.Module.Main:
			continue
		default:
			of = module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir}
		}
		m := found[of.path]
		if m == nil {
			m = &of
			m.dirs, m.files = map[string]bool{}, map[string]bool{}
			found[of.path] = m
		}
		m.dirs[p.Dir] = true
		for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles) {
			path := filepath.Join(p.Dir, name)
			m.files[path] = true
			m.dirs[filepath.Dir(path)] = true // an embedded file may be deeper
		}
	}
}

// above returns the directories of compiled packages, and those above them in the module, in order.
func (m *module) above() []string {
	all := map[string]bool{m.dir: true}
	for dir := range m.dirs {
		for ; dir != m.dir && strings.HasPrefix(dir, m.dir); dir = filepath.Dir(dir) {
			all[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
