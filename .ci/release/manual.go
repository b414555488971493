package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// manual are the manual pages, as the program for this machine writes them.
func (r *repository) manual(ctx context.Context, programs []program, work string) (all []file, _ error) {
	dir := filepath.Join(work, "man")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, p := range programs {
		if p.platform != runtime.GOARCH {
			continue
		}
		cmd := exec.CommandContext(ctx, p.path, "man", dir)
		cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.time.Unix()), "TZ=UTC")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("consumer man: %w\n%s", err, out)
		}
	}
	pages, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(dir, page.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, file{path: "man/" + page.Name(), mode: 0o644, text: text})
	}
	return all, nil
}
