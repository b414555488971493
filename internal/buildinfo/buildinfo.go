// Package buildinfo provides the name of the program and the description of its build.
package buildinfo

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"
)

// Name is the program's name in the registry, in NATS connections and in database sessions.
const Name = "tenant-provisioner"

// The linker sets these (-ldflags -X) in a build without the repository, such as the image. Values that the compiler
// recorded take precedence.
var linkedVersion, linkedRevision, linkedTime string

// Build describes the build of the running program.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified"`       // built from sources with uncommitted changes
	Time     string `json:"time,omitempty"` // of the revision, as in RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Read returns the values that the compiler recorded, and those of the linker where the compiler recorded none.
func Read() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok { // built without modules
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return parse(info, Build{Version: linkedVersion, Revision: linkedRevision, Time: linkedTime})
}

func parse(info *debug.BuildInfo, linked Build) Build {
	b := Build{Version: info.Main.Version, Go: info.GoVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	const unknown = "(devel)" // as the compiler writes it
	if b.Version == unknown {
		b.Version = ""
	}
	b.Version = cmp.Or(b.Version, linked.Version, unknown)
	b.Revision, b.Time = cmp.Or(b.Revision, linked.Revision), cmp.Or(b.Time, linked.Time)
	return b
}

// Version is the program's version, such as v1.2.0, or v1.2.1-0.20260304120000-0123456789ab+dirty between two releases.
func Version() string { return Read().Version }

// Line formats the description on one line.
func (b Build) Line() string {
	parts := []string{b.Version}
	if b.Revision != "" {
		parts = append(parts, "revision "+b.Revision)
	}
	if b.Modified {
		parts = append(parts, "modified")
	}
	if b.Time != "" {
		parts = append(parts, "of "+b.Time)
	}
	return strings.Join(append(parts, b.Go, b.Platform), ", ")
}
