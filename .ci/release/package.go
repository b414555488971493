package main

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// maintainerScripts run when a package is installed or removed, by dpkg and by rpm.
//
//go:embed package/*.sh
var maintainerScripts embed.FS

// packagers are the formats of packages, by the ends of their files' names.
var packagers = map[string]nfpm.Packager{"deb": deb.Default, "rpm": rpm.DefaultRPM}

// writePackages writes a .deb and an .rpm of the program for one platform to dist, with the files of the archive. They
// have the same names: NAME_VERSION_linux_PLATFORM.
func (r *repository) writePackages(dist, work string, p program, archive []file) error {
	work = filepath.Join(work, "package-"+p.platform)
	contents, err := stage(work, packaged(archive))
	if err != nil {
		return err
	}
	script := map[string]string{}
	for _, name := range []string{"postinstall", "preremove", "postremove"} {
		text, err := maintainerScripts.ReadFile("package/" + name + ".sh")
		if err != nil {
			return err
		}
		script[name] = filepath.Join(work, name+".sh")
		if err := os.WriteFile(script[name], text, 0o755); err != nil {
			return err
		}
	}
	for format, packager := range packagers {
		info := nfpm.WithDefaults(&nfpm.Info{
			Name: name, Arch: p.platform, Platform: "linux", Version: p.version, Section: "net", Priority: "optional",
			Maintainer: "The tenant-provisioner authors <maintainers@example.com>", Vendor: "tenant-provisioner",
			Homepage: "https://example.com/tenant-provisioner", License: "Apache-2.0", MTime: r.time,
			Description: "Provisions tenants on request\n" +
				"Takes CloudEvents from NATS JetStream and builds schemas in PostgreSQL or files of SQLite.",
			DisableGlobbing: true,
			Overridables: nfpm.Overridables{
				Contents: contents, Umask: 0o022,
				Recommends: []string{"ca-certificates"},
				Scripts: nfpm.Scripts{
					PostInstall: script["postinstall"], PreRemove: script["preremove"], PostRemove: script["postremove"],
				},
				RPM: nfpm.RPM{BuildHost: "localhost"}, // not this machine's
			},
		})
		var b bytes.Buffer
		if err := packager.Package(info, &b); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		file := fmt.Sprintf("%s_%s_linux_%s.%s", name, p.version, p.platform, format)
		if err := os.WriteFile(filepath.Join(dist, file), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The paths in a package, by those in an archive. Other files are documents.
var placed = map[string]string{
	"consumer":                  "usr/bin/consumer",
	"completions/consumer.bash": "usr/share/bash-completion/completions/consumer",
	"completions/_consumer":     "usr/share/zsh/vendor-completions/_consumer",
	"completions/consumer.fish": "usr/share/fish/vendor_completions.d/consumer.fish",
	"completions/consumer.ps1":  "", // not in packages

	"deploy/systemd/tenant-provisioner.service": "usr/lib/systemd/system/tenant-provisioner.service",
	"deploy/systemd/environment.example":        environmentFile,
}

const (
	environmentFile = "etc/tenant-provisioner/environment"
	documentation   = "usr/share/doc/" + name
)

// packaged are the files of a package. The unit is that of deploy/systemd, with the paths of a package.
func packaged(archive []file) (all []file) {
	for _, f := range archive {
		to, found := placed[f.path]
		switch {
		case found && to == "":
			continue
		case found:
			if strings.HasSuffix(to, ".service") {
				f.text = bytes.ReplaceAll(f.text, []byte("/usr/local/"), []byte("/usr/"))
				f.text = bytes.Replace(f.text, []byte("# /etc/systemd/system/"), []byte("# /"+path.Dir(to)+"/"), 1)
			}
			if to == environmentFile {
				f.mode = 0o600 // URLs have passwords
			}
			f.path = to
		case strings.HasPrefix(f.path, "man/"):
			f.path, f.text = path.Join("usr/share/man/man1", path.Base(f.path)+".gz"), compressed(f.text)
		default:
			f.path = path.Join(documentation, f.path)
		}
		all = append(all, f)
	}
	return append(all, file{path: path.Join(documentation, "copyright"), mode: 0o644, text: []byte(copyright)})
}

// copyright is where Debian looks for it. (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/)
const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: tenant-provisioner
Source: https://example.com/tenant-provisioner
Comment: The program contains other software: THIRD_PARTY_LICENSES.txt and NOTICE beside this file have its licences.

Files: *
Copyright: The tenant-provisioner authors
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
`

// compressed is a text as gzip -n writes it.
func compressed(text []byte) []byte {
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // a level that does not exist
	}
	zip.Write(text) //nolint:errcheck // to memory
	zip.Close()     //nolint:errcheck
	return b.Bytes()
}

// stage writes the files to a directory, from which nfpm reads them.
func stage(dir string, all []file) (contents files.Contents, _ error) {
	for _, f := range all {
		source := filepath.Join(dir, "root", filepath.FromSlash(f.path))
		if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(source, f.text, 0o600); err != nil {
			return nil, err
		}
		content := &files.Content{
			Source: source, Destination: "/" + f.path, FileInfo: &files.ContentFileInfo{Mode: os.FileMode(f.mode)},
		}
		if strings.HasPrefix(f.path, "etc/") {
			content.Type = files.TypeConfigNoReplace
		}
		contents = append(contents, content)
	}
	return contents, nil
}
