package main

import (
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// The page is what the source says.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, nil, "config", "--markdown")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	page, err := os.ReadFile("../../docs/configuration.md")
	testkit.Must(t, err)
	if string(page) != stdout {
		t.Error("docs/configuration.md is not what the source says; run: make docs")
	}
}

// A variable that is added has all that the reference needs.
func TestVariablesAreDescribed(t *testing.T) {
	t.Parallel()
	_, help, _ := command(t, nil, "config", "--help")
	for i, v := range variables() {
		if v.meaning == "" || i == 0 && v.group == "" {
			t.Errorf("%s: the tag doc says what it means, the tag group begins a section", v.name)
		}
		testkit.Contains(t, "the help", help, v.name, v.meaning, v.allowed.text)
	}
	testkit.Equal(t, "bound of the pool", postgres.MostPrepared, 1000)
}

func TestAllowances(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed, always string
		value           any
		says            string // empty: allowed
	}{
		{"", "", "anything", ""},
		{"1 to 5", "1", 1, ""},
		{"1 to 5", "1", 5, ""},
		{"1 to 5", "1", 0, "0 is not 1 to 5"},
		{"1 to 5", "1", 6, "6 is not 1 to 5"},
		{"above 0s", "1s", time.Nanosecond, ""},
		{"above 0s", "1s", time.Duration(0), "0s must be above 0s"},
		{"at least 100ms", "1s", 100 * time.Millisecond, ""},
		{"at least 100ms", "1s", 99 * time.Millisecond, "99ms must be at least 100ms"},
		{"a file", "", "allowance.go", ""},
		{"a file", "", "", ""}, // the default
		{"a file", "", "nowhere", "stat nowhere: no such file or directory"},
		{"a directory", "here", "there", ""},
		{"a directory", "here", "", `"" is not a directory`},
		{"host:port", "a:1", ":80", ""},
		{"host:port", "a:1", "80", `"80" is not host:port`},
		{"host:port", "a:1", "", `"" is not host:port`},
		{"host:port or empty", "a:1", "", ""},
		{"text or json", "", "json", ""},
		{"text or json", "", "", ""},
		{"text or json", "", "xml", `"xml" is not text or json`},
		{"some", "", "some", `the tag allowed is not understood: "some"`},
		{"1 to many", "1", 1, `the tag allowed is not understood: "1 to many"`},
		{"below 1s", "0s", time.Duration(0), `the tag allowed is not understood: "below 1s"`},
	} {
		t.Run(strconv.Quote(c.allowed), func(t *testing.T) {
			t.Parallel()
			err := allowance{text: c.allowed, always: c.always}.judge(reflect.ValueOf(c.value))
			if err == nil && c.says != "" || err != nil && err.Error() != c.says {
				t.Errorf("%v: %v, want %q", c.value, err, c.says)
			}
		})
	}
}
