package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// What the linker is told (-ldflags -X) where the compiler cannot know it: built without the repository, as in the
// image. What the compiler knows goes before.
var linkedVersion, linkedRevision, linkedTime string

// build is what the program knows of its own build, for programs.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified"`       // with changes that no revision has
	Time     string `json:"time,omitempty"` // of the revision, as in RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild reads what the compiler has noted, else what the linker was told.
func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok { // built without modules
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return buildOf(info, build{Version: linkedVersion, Revision: linkedRevision, Time: linkedTime})
}

func buildOf(info *debug.BuildInfo, linked build) build {
	b := build{Version: info.Main.Version, Go: info.GoVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH}
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
	const unknown = "(devel)" // as the compiler says it
	if b.Version == unknown {
		b.Version = ""
	}
	b.Version = cmp.Or(b.Version, linked.Version, unknown)
	b.Revision, b.Time = cmp.Or(b.Revision, linked.Revision), cmp.Or(b.Time, linked.Time)
	return b
}

// version is the program's version, such as v1.2.0, or v1.2.1-0.20260304120000-0123456789ab+dirty between two.
func version() string { return readBuild().Version }

// line is all of it on one line.
func (b build) line() string {
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

func versionCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version and how it was built",
		Long: "Shows what the program knows of its own build: the version and revision, whether the sources had changes\n" +
			"that no revision has, the revision's time, the version of Go and the platform.",
		Example: "  consumer version\n  consumer version --json | jq -r .revision",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if asJSON {
				return json.NewEncoder(a.stdout).Encode(b)
			}
			return (&table{w: a.stdout}).write([][]string{
				{"version", b.Version},
				{"revision", cmp.Or(b.Revision, "unknown")},
				{"modified", strconv.FormatBool(b.Modified)},
				{"time", cmp.Or(b.Time, "unknown")},
				{"go", b.Go},
				{"platform", b.Platform},
			}...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// versionLine is what --version shows.
func versionLine() string { return fmt.Sprintf("consumer %s\n", readBuild().line()) }
