package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cavaliergopher/rpm"
)

// packagedFor builds the packages of a small archive, with the unit and the environment of the repository.
func packagedFor(t *testing.T) (dist string) {
	t.Helper()
	archive := []file{
		{path: "consumer", mode: 0o755, text: []byte("program")},
		{path: "README.md", mode: 0o644, text: []byte("read")},
		{path: "man/consumer.1", mode: 0o644, text: []byte(".TH")},
	}
	for _, shell := range []string{"consumer.bash", "_consumer", "consumer.fish", "consumer.ps1"} {
		archive = append(archive, file{path: "completions/" + shell, mode: 0o644, text: []byte(shell)})
	}
	for _, path := range []string{"tenant-provisioner.service", "environment.example"} {
		path = "deploy/systemd/" + path
		text, err := os.ReadFile(filepath.Join("../..", path))
		must(t, err)
		archive = append(archive, file{path: path, mode: 0o644, text: text})
	}
	dist = t.TempDir()
	r := &repository{dir: "../..", revision: "0123abcd", time: noon}
	p := program{platform: "amd64", version: "v1.2.3-rc.1", text: []byte("program")}
	must(t, r.writePackages(dist, t.TempDir(), p, archive))
	return dist
}

var packagedFiles = map[string]string{
	"/usr/bin/consumer": "-rwxr-xr-x",
	"/usr/lib/systemd/system/tenant-provisioner.service": "-rw-r--r--",
	"/etc/tenant-provisioner/environment":                "-rw-------",
	"/usr/share/man/man1/consumer.1.gz":                  "-rw-r--r--",
	"/usr/share/bash-completion/completions/consumer":    "-rw-r--r--",
	"/usr/share/zsh/vendor-completions/_consumer":        "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/consumer.fish": "-rw-r--r--",
	"/usr/share/doc/tenant-provisioner/README.md":        "-rw-r--r--",
	"/usr/share/doc/tenant-provisioner/copyright":        "-rw-r--r--",
}

func TestPackagesAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	one, two := packagedFor(t), packagedFor(t)
	for format := range packagers {
		name := "tenant-provisioner_v1.2.3-rc.1_linux_amd64." + format
		first, err := os.ReadFile(filepath.Join(one, name))
		must(t, err)
		second, err := os.ReadFile(filepath.Join(two, name))
		must(t, err)
		if !bytes.Equal(first, second) {
			t.Errorf("%s differs the second time", name)
		}
	}
}

// dpkg reads the package, and unpacks it into an empty directory.
func TestDeb(t *testing.T) {
	t.Parallel()
	path := filepath.Join(packagedFor(t), "tenant-provisioner_v1.2.3-rc.1_linux_amd64.deb")
	dpkg := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "dpkg-deb", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("dpkg-deb %v: %v (on other systems than Debian: install dpkg)\n%s", args, err, out)
		}
		return string(out)
	}
	fields := dpkg("--field", path)
	for _, line := range []string{
		"Package: tenant-provisioner", "Version: 1.2.3~rc.1", "Architecture: amd64", "Section: net",
	} {
		if !strings.Contains(fields, line+"\n") {
			t.Errorf("the package lacks %q:\n%s", line, fields)
		}
	}
	dir := t.TempDir()
	dpkg("--raw-extract", path, dir)
	for name, mode := range packagedFiles {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().String() != mode || !info.ModTime().Equal(noon) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	conffiles, err := os.ReadFile(filepath.Join(dir, "DEBIAN/conffiles"))
	must(t, err)
	if got := strings.Fields(string(conffiles)); !slices.Equal(got, []string{"/" + environmentFile}) {
		t.Errorf("an upgrade keeps %v", got)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(dir, "DEBIAN", script)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	unit, err := os.ReadFile(filepath.Join(dir, "usr/lib/systemd/system/tenant-provisioner.service"))
	must(t, err)
	for _, line := range []string{
		"ExecStart=/usr/bin/consumer run", "EnvironmentFile=/" + environmentFile,
		"Documentation=file:///" + documentation + "/README.md", "# /usr/lib/systemd/system/tenant-provisioner.service",
	} {
		if !strings.Contains(string(unit), line) {
			t.Errorf("the unit lacks %q", line)
		}
	}
	if strings.Contains(string(unit), "/usr/local") {
		t.Error("the unit names a path that the package does not have")
	}
	page, err := os.Open(filepath.Join(dir, "usr/share/man/man1/consumer.1.gz"))
	must(t, err)
	defer page.Close()
	zip, err := gzip.NewReader(page)
	must(t, err)
	text, err := io.ReadAll(zip)
	must(t, err)
	if string(text) != ".TH" || !zip.ModTime.IsZero() {
		t.Errorf("the manual page has %q, of %s", text, zip.ModTime)
	}
}

func TestRPM(t *testing.T) {
	t.Parallel()
	p, err := rpm.Open(filepath.Join(packagedFor(t), "tenant-provisioner_v1.2.3-rc.1_linux_amd64.rpm"))
	must(t, err)
	if p.Name() != name || p.Version() != "1.2.3~rc.1" || p.Architecture() != "x86_64" || p.License() != "Apache-2.0" ||
		!p.BuildTime().Equal(noon) || p.BuildHost() != "localhost" {
		t.Errorf("%s %s, %s, %s, built %s on %s", p.Name(), p.Version(), p.Architecture(), p.License(), p.BuildTime(),
			p.BuildHost())
	}
	found := map[string]string{}
	for _, f := range p.Files() {
		found[f.Name()] = f.Mode().String()
		const config, noReplace = 1, 1 << 4
		if keep := f.Flags()&config != 0 && f.Flags()&noReplace != 0; keep != (f.Name() == "/"+environmentFile) {
			t.Errorf("%s: an upgrade keeps it: %t", f.Name(), keep)
		}
	}
	for name, mode := range packagedFiles {
		if found[name] != mode {
			t.Errorf("%s has mode %q, want %s", name, found[name], mode)
		}
	}
}
