package doctest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/testkit"
)

// A context that the nats CLI writes gives the values of variables.
func TestContextOfTheCLI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(name string, env []string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append([]string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	nats := natsCLI(t)
	run(nats, nil, "context", "add", "prod", "--server=nats://a:4222,nats://b:4222", "--user=me", "--password=s3cr3t,x",
		"--js-domain=leaf", "--inbox-prefix=_INBOX_me", "--tlsfirst", "--description=for people")
	shown := run(consumer(t), []string{"NATS_CONTEXT=prod"}, "config")
	testkit.Contains(t, "config", "\n"+shown, "\nNATS_URL=nats://xxxxx@a:4222,nats://xxxxx@b:4222\n", "\nNATS_JS_DOMAIN=leaf\n",
		"\nNATS_INBOX_PREFIX=_INBOX_me\n", "\nNATS_TLS_FIRST=true\n", "\n# NATS_URL is url and user of the context prod\n")
	if strings.Contains(shown, "s3cr3t") {
		t.Error("the password is shown")
	}
}

// No field of a context is unknown: each is used, harmless, or refused with what to do.
func TestFieldsOfContextsAreKnown(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "-modfile=.ci/nats.mod", "github.com/nats-io/jsm.go")
	cmd.Dir = root
	out, err := cmd.Output()
	testkit.Must(t, err)
	var module struct{ Dir string }
	testkit.Must(t, json.Unmarshal(out, &module))
	source, err := parser.ParseFile(token.NewFileSet(), filepath.Join(module.Dir, "natscontext", "context.go"), nil, 0)
	testkit.Must(t, err)
	var settings *ast.StructType
	ast.Inspect(source, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "settings" {
			settings, _ = spec.Type.(*ast.StructType)
		}
		return true
	})
	if settings == nil {
		t.Fatal("natscontext has no struct settings any more")
	}
	seen := 0
	for _, field := range settings.Fields.List {
		if field.Tag == nil { // not in the file
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		testkit.Must(t, err)
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		value := `"x"`
		switch of := field.Type.(type) {
		case *ast.ArrayType:
			value = `["x"]`
		case *ast.Ident:
			if of.Name == "bool" {
				value = "true"
			}
		}
		file := filepath.Join(t.TempDir(), "context.json")
		testkit.Must(t, os.WriteFile(file, fmt.Appendf(nil, `{%q: %s}`, name, value), 0o600))
		_, err = config.Load(t.Context(), envconfig.MapLookuper(map[string]string{"NATS_CONTEXT": file}))
		if err != nil && strings.Contains(err.Error(), "does not know the field") {
			t.Errorf("add it to internal/config/nats_context.go: %v", err)
		}
		seen++
	}
	if seen < 20 {
		t.Errorf("%d fields were found", seen)
	}
}
