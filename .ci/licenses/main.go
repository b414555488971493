// Command licenses writes what the licences of other software require of a distribution: NOTICE, and in
// internal/licenses the texts (THIRD_PARTY_LICENSES.txt) and the list of components (components.jsonl). make licenses
// runs it.
//
// # What it promises
//
//  1. It lists the modules that are compiled into the program for a released platform, and no others: a module that only
//     tests use is not distributed.
//  2. Of each it includes the files of licences, notices and patent grants in the directories of the compiled packages
//     and above them, and the licences that stand in comments of compiled files.
//  3. It includes software in other languages that a module contains: see parts.go.
//  4. It fails on a text that the classifier does not know, and on a licence that is not in allowed, unless a table in
//     exceptions.go has the reason.
//
// Equal texts are included once.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// platforms are the architectures of Linux that are released: those of .ci/release.
var platforms = []string{"amd64", "arm64"}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "licenses: name the repository: make licenses does")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := write(ctx, os.Args[1])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "licenses: %v\n", err)
		os.Exit(1)
	}
}

// write writes the files in the repository.
func write(ctx context.Context, repository string) error {
	files, err := generate(ctx, repository)
	if err != nil {
		return err
	}
	for path, text := range files {
		path = filepath.Join(repository, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the files by their paths in the repository.
func generate(ctx context.Context, repository string) (map[string][]byte, error) {
	modules, err := compiled(ctx, repository)
	if err != nil {
		return nil, err
	}
	c, err := collect(modules)
	if err != nil {
		return nil, err
	}
	list, err := c.list()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"NOTICE": c.notice(),
		"internal/licenses/THIRD_PARTY_LICENSES.txt": c.document(),
		"internal/licenses/components.jsonl":         list,
	}, nil
}
