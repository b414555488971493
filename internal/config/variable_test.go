package config

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// A field that is added later must not escape the listing or its redaction.
func TestSettingsListEveryField(t *testing.T) {
	t.Parallel()
	c, err := Load(t.Context(), envconfig.MapLookuper(nil))
	testkit.Must(t, err)
	for _, s := range c.Settings(false) {
		if s.Name == "" || strings.ToUpper(s.Name) != s.Name {
			t.Errorf("a field without variable: %+v", s)
		}
	}
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tag      reflect.StructTag
		fallback string
		value    any
		error    string // empty: allowed
	}{
		{"", "", "anything", ""},
		{`min:"1" max:"5"`, "1", 1, ""},
		{`min:"1" max:"5"`, "1", 5, ""},
		{`min:"1" max:"5"`, "1", 0, "0 is not 1 to 5"},
		{`min:"1" max:"5"`, "1", 6, "6 is not 1 to 5"},
		{`min:"1" max:"5"`, "0", 0, ""}, // the default
		{`above:"0s"`, "1s", time.Nanosecond, ""},
		{`above:"0s"`, "1s", time.Duration(0), "0s must be above 0s"},
		{`min:"100ms"`, "1s", 100 * time.Millisecond, ""},
		{`min:"100ms"`, "1s", 99 * time.Millisecond, "99ms must be at least 100ms"},
		{`is:"file"`, "", "constraint.go", ""},
		{`is:"file"`, "", "", ""}, // the default
		{`is:"file"`, "", "nowhere", "stat nowhere: no such file or directory"},
		{`is:"directory"`, "here", "there", ""},
		{`is:"directory"`, "here", "", `"" is not a directory`},
		{`is:"host:port"`, "a:1", ":80", ""},
		{`is:"host:port"`, "a:1", "80", `"80" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "", `"" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "[::]:0", ""},
		{`is:"host:port"`, "a:1", "a:65535", ""},
		{`is:"host:port"`, "a:1", "a:65536", `"a:65536" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "a:-1", `"a:-1" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "a:", `"a:" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "a:http", `"a:http" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "/run/a.sock:1", `"/run/a.sock:1" is not host:port (port 0 to 65535)`},
		{`is:"host:port"`, "a:1", "http://a:1", `"http://a:1" is not host:port (port 0 to 65535)`},
		{`is:"host:port" optional:"true"`, "a:1", "", ""},
		{`is:"host:port" optional:"true"`, "a:1", "80", `"80" is not host:port (port 0 to 65535) or empty`},
		{`oneof:"text json"`, "", "json", ""},
		{`oneof:"text json"`, "", "", ""},
		{`oneof:"text json"`, "", "xml", `"xml" is not text or json`},
	} {
		t.Run(strconv.Quote(string(c.tag)), func(t *testing.T) {
			t.Parallel()
			err := constraintOf(c.tag, c.fallback).check(reflect.ValueOf(c.value))
			if err == nil && c.error != "" || err != nil && err.Error() != c.error {
				t.Errorf("%v: %v, want %q", c.value, err, c.error)
			}
		})
	}
}

// Every variable has what the reference needs.
func TestVariablesAreDescribed(t *testing.T) {
	t.Parallel()
	help := Reference()
	for i, v := range variables() {
		if v.meaning == "" || i == 0 && v.group == "" {
			t.Errorf("%s: the tag doc is its meaning, the tag group begins a section", v.name)
		}
		zero := reflect.Zero(reflect.TypeFor[Config]().FieldByIndex(v.index).Type)
		_ = v.constraint.check(zero) // panics on a tag that cannot be read
		testkit.Contains(t, "the help", help, v.name, v.meaning, v.constraint.String())
	}
	testkit.Equal(t, "bound of the pool", postgres.MaxPrepared, 1000)
}
