package config

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/testkit"
)

// awkward are values that a file of variables must keep.
var awkward = []string{
	"", "plain", "a b", "p$w#d", `a"b`, "a'b", "a\\b", "`id`", "$(id)", `both ' and " and $HOME and \n`, "#", "=", "é",
	"postgres://u:p%40@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem", "t_{tenant_id}", `ends with \`, `'`, `"`, "!", "~", "*",
}

// Each value that is written is read as it was, by this program and by a shell.
func TestEnvLines(t *testing.T) {
	t.Parallel()
	for _, value := range awkward {
		line := EnvLine("NAME", value)
		f, err := ReadEnvFile(fileOf(t, line+"\n"))
		testkit.Must(t, err)
		testkit.Equal(t, line, f.values["NAME"], value)
		shell, err := exec.Command("sh", "-c", line+`; printf %s "$NAME"`).Output()
		testkit.Must(t, err)
		testkit.Equal(t, line+" in a shell", string(shell), value)
	}
}

// What shells, systemd and Docker accept.
func TestFormsOfEnvFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"A=1\nB=2":                      "A=1 B=2",
		"\ufeffA=1\r\nB=2\r\n":          "A=1 B=2",
		"# comment\n\n  # another\nA=1": "A=1",
		"export A=1\nexport\tB=2":       "A=1 B=2",
		"  A=1  \nB= 2":                 "A=1 B=2",
		"A=1 # not a comment":           "A=1 # not a comment",
		"A=$HOME":                       "A=$HOME",
		`A="a\"b\\c\$d\e"`:              `A=a"b\c$d\e`,
		`A='a\"b'`:                      `A=a\"b`,
		`A=a"b"`:                        `A=a"b"`,
		"A=":                            "A=",
		"A=1\nA=2":                      "A=2",
	} {
		f, err := ReadEnvFile(fileOf(t, text))
		testkit.Must(t, err)
		var got []string
		for _, name := range f.names {
			got = append(got, name+"="+f.values[name])
		}
		testkit.Equal(t, text, strings.Join(got, " "), want)
	}
}

// All faults are reported at once, by their lines, without a value.
func TestFaultsOfEnvFiles(t *testing.T) {
	t.Parallel()
	_, err := ReadEnvFile(fileOf(t, strings.Join([]string{
		"A=1", hidden, "A B=" + hidden, "1A=" + hidden, "A =" + hidden, "=" + hidden, "é=" + hidden, "A='" + hidden, `A="` + hidden,
		"A='" + hidden + "' # comment", "A-B=" + hidden, `A="` + hidden + `\"`,
	}, "\n")))
	testkit.Equal(t, "lines", strings.Count(err.Error(), "\n"), 10)
	for i := 2; i <= 12; i++ {
		testkit.Contains(t, "error", err.Error(), fmt.Sprintf(", line %d: ", i))
	}
	if strings.Contains(err.Error(), hidden) {
		t.Error(err)
	}
	for _, path := range []string{"/nowhere/file", t.TempDir(), fileOf(t, "A=\xff"), fileOf(t, "A=\x00")} {
		if _, err := ReadEnvFile(path); err == nil || !strings.Contains(err.Error(), "--env-file: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The environment wins, also with the other of NAME and NAME_FILE.
func TestEnvironmentWinsOverEnvFile(t *testing.T) {
	t.Parallel()
	inFile := fileOf(t, "sqlite:mounted")
	for _, c := range []struct {
		env       map[string]string
		text, url string
	}{
		{nil, "DATABASE_URL=sqlite:a", "sqlite:a"},
		{map[string]string{"DATABASE_URL": "sqlite:b"}, "DATABASE_URL=sqlite:a", "sqlite:b"},
		{map[string]string{"DATABASE_URL": ""}, "DATABASE_URL=sqlite:a", "sqlite:storage"},
		{map[string]string{"DATABASE_URL": "sqlite:b"}, "DATABASE_URL_FILE=" + inFile, "sqlite:b"},
		{map[string]string{"DATABASE_URL_FILE": inFile}, "DATABASE_URL=sqlite:a", "sqlite:mounted"},
		{nil, "DATABASE_URL_FILE=" + inFile, "sqlite:mounted"},
	} {
		f, err := ReadEnvFile(fileOf(t, c.text))
		testkit.Must(t, err)
		env, err := f.Under(envconfig.MapLookuper(c.env))
		testkit.Must(t, err)
		loaded, err := Load(t.Context(), env)
		testkit.Must(t, err)
		testkit.Equal(t, c.text, loaded.DatabaseURL, c.url)
	}
}

// Names that nothing reads are named, with what was probably meant.
func TestUnknownNamesOfEnvFiles(t *testing.T) {
	t.Parallel()
	var known strings.Builder
	for _, v := range variables() {
		known.WriteString(v.name + "=\n")
	}
	known.WriteString("PGPASSWORD=x\nOTEL_EXPORTER_OTLP_HEADERS_FILE=x\nOTEL_SERVICE_NAME=x\nHOME=/x\n")
	f, err := ReadEnvFile(fileOf(t, known.String()))
	testkit.Must(t, err)
	testkit.Equal(t, "warnings", strings.Join(f.Unknown(), "\n"), "")
	path := fileOf(t, "FOO=a\nDATABSE_URL=a\nPGCLIENTENCODING=a")
	f, err = ReadEnvFile(path)
	testkit.Must(t, err)
	testkit.Equal(t, "warnings", strings.Join(f.Unknown(), "\n"),
		path+", line 1: FOO is not a variable of this program, and has no effect\n"+
			path+", line 2: DATABSE_URL is not a variable of this program, and has no effect; did you mean DATABASE_URL?\n"+
			path+", line 3: PGCLIENTENCODING is not a variable of this program, and has no effect")
}

// A value in a file: its newline is dropped, and what is wrong with it is said by the variable's name.
func TestValueFiles(t *testing.T) {
	t.Parallel()
	url := map[string]string{"NATS_URL": "nats://a:s3cr3t@h", "DATABASE_URL": "postgres://a:s3cr3t@h/x"}
	for name, value := range url {
		for _, content := range []string{value, value + "\n", value + "\r\n", "\ufeff" + value + "\n"} {
			c, err := loaded(t, map[string]string{name + "_FILE": fileOf(t, content)})
			testkit.Must(t, err)
			testkit.Equal(t, name, map[string]string{"NATS_URL": c.NATSURL, "DATABASE_URL": c.DatabaseURL}[name], value)
		}
		long := fileOf(t, strings.Repeat("x", maxValueFile+1))
		unreadable := filepath.Join(t.TempDir(), "missing")
		pipe := filepath.Join(t.TempDir(), "pipe")
		testkit.Must(t, exec.Command("mkfifo", pipe).Run())
		for path, want := range map[string]string{
			fileOf(t, ""): "is empty", fileOf(t, " \r\n"): "is empty", fileOf(t, value+"\n"+value): "line break",
			fileOf(t, `"`+value+`"`): "quotation mark", long: "longer than", unreadable: "no such file", pipe: "not a regular file",
			t.TempDir(): "not a regular file",
		} {
			_, err := loaded(t, map[string]string{name + "_FILE": path})
			if err == nil || !strings.HasPrefix(err.Error(), name+"_FILE: ") || !strings.Contains(err.Error(), want) ||
				strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s in %s: %v", name, path, err)
			}
		}
		_, err := loaded(t, map[string]string{name + "_FILE": fileOf(t, value), name: value})
		testkit.Contains(t, "error", err.Error(), name+" and "+name+"_FILE: both are set")
		path := fileOf(t, "http://s3cr3t@h")
		_, err = loaded(t, map[string]string{name + "_FILE": path})
		testkit.Contains(t, "error", err.Error(), name+" (the content of "+path+"): ")
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Error(err)
		}
	}
}

// A value that is replaced counts at the next read, and is checked like the first.
func TestValueFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "postgres://a:first@h/x\n")
	c, err := loaded(t, map[string]string{"DATABASE_URL_FILE": path})
	testkit.Must(t, err)
	current := c.Postgres().CurrentURL
	for content, want := range map[string]string{
		"postgres://a:second@h/x\n": "", "": "is empty", "sqlite:x": "is not postgres://… any more",
		"postgres://a:p@ss@h/x": "DATABASE_URL (the content of " + path + "): not ", "postgres://a:b@h/x?sslmod=1": "unknown parameter",
	} {
		testkit.Must(t, os.WriteFile(path, []byte(content), 0o600))
		url, err := current()
		switch {
		case want == "":
			testkit.Must(t, err)
			testkit.Equal(t, "URL", url, strings.TrimSpace(content))
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%q: %v", content, err)
		}
	}
}

// OTEL_EXPORTER_OTLP_HEADERS_FILE is checked where traces are on.
func TestTraceHeadersFile(t *testing.T) {
	t.Parallel()
	name := traceHeaders + fileSuffix
	for content, want := range map[string]string{
		"api-key=" + hidden + "\n": "", "": "is empty", "Authorization: " + hidden: "is not name=value",
	} {
		text := traceFaults(map[string]string{name: fileOf(t, content)})
		if want == "" && text != "" || want != "" && !strings.Contains(text, name+": ") || !strings.Contains(text, want) ||
			strings.Contains(text, hidden) {
			t.Errorf("%q: %s", content, text)
		}
	}
	text := traceFaults(map[string]string{name: fileOf(t, "a=b"), traceHeaders: "a=b"})
	testkit.Contains(t, "error", text, name+": both")
}
