package postgrestest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestOrderOfSources(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env  map[string]string
		want []string
		only bool
	}{
		"nothing set": {
			want: []string{"TEST_DATABASE_URL", "container postgres:17-alpine", "programs of this machine"},
		},
		"another image": {
			env:  map[string]string{"TEST_POSTGRES_IMAGE": "mirror/postgres:15"},
			want: []string{"TEST_DATABASE_URL", "container mirror/postgres:15", "programs of this machine"},
		},
		"a server is named, no other source is tried": {
			env:  map[string]string{"TEST_DATABASE_URL": "postgres://h/d", "TEST_POSTGRES_IMAGE": "postgres:15"},
			want: []string{"TEST_DATABASE_URL"},
			only: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range sources(env(test.env)) {
				got = append(got, s.name)
				if s.only != test.only {
					t.Errorf("%s: only = %t, want %t", s.name, s.only, test.only)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("sources = %q, want %q", got, test.want)
			}
		})
	}
}

func TestFirstSourceThatHasAServer(t *testing.T) {
	t.Parallel()
	fails := func(name, reason string) source {
		return source{name: name, start: func(context.Context) (*server, error) { return nil, errors.New(reason) }}
	}
	has := func(name string) source {
		return source{name: name, start: func(context.Context) (*server, error) { return &server{name: name}, nil }}
	}
	only := fails("c", "reason c")
	only.only = true

	tests := map[string]struct {
		from []source
		want string   // the server
		text []string // parts of the error, or of the log about the sources tried before
		not  string
	}{
		"the first source that has a server": {
			from: []source{fails("a", "reason a"), has("b"), has("c")},
			want: "b", text: []string{"a: reason a"},
		},
		"no source has a server": {
			from: []source{fails("a", "reason a"), fails("b", "reason b")},
			text: []string{
				"a: reason a", "b: reason b",
				"apt-get install postgresql", "Docker", "TEST_DATABASE_URL=", "CREATEDB",
			},
		},
		"no source after an only": {
			from: []source{only, has("d")},
			text: []string{"c: reason c", "unset it"}, not: "apt-get",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text string
			got, err := firstOf(t.Context(), test.from)
			if err != nil {
				text = err.Error()
			} else {
				text = got.passed
			}
			if (err == nil) != (test.want != "") || err == nil && got.name != test.want {
				t.Fatalf("got %v, %v; want %q", got, err, test.want)
			}
			for _, s := range test.text {
				if !strings.Contains(text, s) {
					t.Errorf("%q is not in: %s", s, text)
				}
			}
			if test.not != "" && strings.Contains(text, test.not) {
				t.Errorf("%q is in: %s", test.not, text)
			}
		})
	}
}

func TestNamedServerThatIsNotUsable(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u:secret word@127.0.0.1:1/x": "not a URL",
		"host=127.0.0.1 password=secret":         "not a postgres:// URL",
		"postgres://u:secret@127.0.0.1:1/x":      "refused",
	} {
		_, err := firstOf(t.Context(), sources(env(map[string]string{"TEST_DATABASE_URL": url})))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that contains %q", err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}

func TestProgramsOfTheHighestVersion(t *testing.T) {
	t.Parallel()
	install := func(t *testing.T, dir string, programs ...string) string {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			if err := os.WriteFile(filepath.Join(dir, p), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	notOnPath := func(string) (string, error) { return "", errors.New("not found") }

	root := t.TempDir()
	pattern := filepath.Join(root, "*", "bin")
	path := install(t, filepath.Join(t.TempDir(), "elsewhere"), "initdb", "postgres")
	onPath := func(name string) (string, error) { return filepath.Join(path, name), nil }

	if got, err := findPrograms(pattern, notOnPath); err == nil {
		t.Errorf("found %s although nothing is installed", got)
	}
	if got, err := findPrograms(pattern, onPath); err != nil || got != path {
		t.Errorf("got %s, %v; want the programs on PATH", got, err)
	}
	install(t, filepath.Join(root, "9.6", "bin"), "initdb", "postgres")
	install(t, filepath.Join(root, "18", "bin"), "psql") // the client only
	want := install(t, filepath.Join(root, "17", "bin"), "initdb", "postgres")
	if got, err := findPrograms(pattern, onPath); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// Another user cannot run programs in a directory that only root can enter.
func TestTempDirIsReachable(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", closed)
	if got := tempDir(true); got != "/tmp" {
		t.Errorf("for another user %s, want /tmp", got)
	}
	if got := tempDir(false); got != closed {
		t.Errorf("for the same user %s, want %s", got, closed)
	}
}
