package buildinfo

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/testkit"
)

// What the compiler recorded takes precedence over what the linker set.
func TestParse(t *testing.T) {
	t.Parallel()
	linked := Build{Version: "v9.9.9", Revision: "linked", Time: "2026-01-01T00:00:00Z"}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abcd"},
		{Key: "vcs.time", Value: "2026-03-04T12:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	for name, c := range map[string]struct {
		main     string
		settings []debug.BuildSetting
		linked   Build
		want     Build
		line     string
	}{
		"from a repository": {
			"v1.2.1+dirty", vcs, linked,
			Build{Version: "v1.2.1+dirty", Revision: "0123abcd", Modified: true, Time: "2026-03-04T12:00:00Z"},
			"v1.2.1+dirty, revision 0123abcd, modified, of 2026-03-04T12:00:00Z, go1.26, " + platform,
		},
		"go install":                     {"v1.2.0", nil, Build{}, Build{Version: "v1.2.0"}, "v1.2.0, go1.26, " + platform},
		"in the image":                   {"(devel)", nil, linked, linked, "v9.9.9, revision linked, of 2026-01-01T00:00:00Z, go1.26, " + platform},
		"from sources, nothing is known": {"(devel)", nil, Build{}, Build{Version: "(devel)"}, "(devel), go1.26, " + platform},
		"without modules":                {"", nil, Build{}, Build{Version: "(devel)"}, "(devel), go1.26, " + platform},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := &debug.BuildInfo{GoVersion: "go1.26", Settings: c.settings}
			info.Main.Version = c.main
			got := parse(info, c.linked)
			c.want.Go, c.want.Platform = "go1.26", platform
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			testkit.Equal(t, "the line", got.Line(), c.line)
		})
	}
}
