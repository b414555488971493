package main

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
)

// program is the program as it is built for one platform.
type program struct {
	platform string // GOARCH
	path     string
	version  string
	text     []byte
	info     *debug.BuildInfo
}

// machines are the platforms as ELF names them.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// build builds the program for a platform and checks that it keeps the promises.
func (r *repository) build(ctx context.Context, platform, path string) (program, error) {
	// -w omits debug information, a quarter of the size; symbols stay, for govulncheck -mode binary.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-w",
		"-o", path, "./cmd/consumer")
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+platform, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return program{}, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := checkStatic(path, machines[platform]); err != nil {
		return program{}, err
	}
	info, err := checkBuild(path, r.revision)
	if err != nil {
		return program{}, err
	}
	text, err := os.ReadFile(path)
	return program{platform, path, info.Main.Version, text, info}, err
}

// checkStatic checks that the program is for that machine and is static: it needs no interpreter and no libraries.
func checkStatic(path string, machine elf.Machine) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Machine != machine {
		return fmt.Errorf("it is for %s, and not for %s", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is not static: it needs an interpreter")
		}
	}
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		return fmt.Errorf("it is not static: it needs %v", libraries)
	}
	return nil
}

// checkBuild checks that the program reports this commit, and returns what it reports.
func checkBuild(path, revision string) (*debug.BuildInfo, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	for _, s := range info.Settings {
		said[s.Key] = s.Value
	}
	if said["vcs.revision"] != revision || said["vcs.modified"] != "false" {
		return nil, fmt.Errorf("its build info has revision %q, modified %q; want %s, unmodified",
			said["vcs.revision"], said["vcs.modified"], revision)
	}
	return info, nil
}

func (p program) file(path string) file { return file{path: path, mode: 0o755, text: p.text} }

// completions are the scripts for shells, as the program for this machine writes them.
func completions(ctx context.Context, programs []program) (all []file, _ error) {
	for _, p := range programs {
		if runtime.GOOS != "linux" || p.platform != runtime.GOARCH {
			continue
		}
		for shell, script := range map[string]string{
			"bash": "consumer.bash", "zsh": "_consumer", "fish": "consumer.fish", "powershell": "consumer.ps1",
		} {
			text, err := exec.CommandContext(ctx, p.path, "completion", shell).Output()
			if err != nil {
				return nil, fmt.Errorf("consumer completion %s: %w", shell, err)
			}
			all = append(all, file{path: "completions/" + script, mode: 0o644, text: text})
		}
		return all, nil
	}
	return nil, fmt.Errorf("one of the programs must run here, to write its completions: release on Linux, on one of %v",
		platforms)
}
