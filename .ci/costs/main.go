// Command costs writes into docs/dependencies.md what each direct dependency of the program costs: go -C .ci/costs run .
//
// A dependency costs the packages that would not be compiled if the program's own packages did not import it, and the
// modules of these packages. Their size is that of their code and data in the program, without the tables that the
// linker adds to it.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const (
	root    = "../.."
	page    = root + "/docs/dependencies.md"
	program = "./cmd/consumer"
	begin   = "<!-- make dependencies writes from here -->\n"
	end     = "<!-- to here -->\n"
)

// listed is a package as go list describes it.
type listed struct {
	ImportPath string
	Imports    []string
	Module     *struct {
		Path string
		Main bool
	}
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	packages, err := listPackages()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "costs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	withSymbols, released := filepath.Join(dir, "consumer"), filepath.Join(dir, "released")
	for path, flags := range map[string]string{withSymbols: "", released: "-s -w"} {
		if _, err := output("go", "build", "-trimpath", "-ldflags", flags, "-o", path, program); err != nil {
			return err
		}
	}
	sizes, err := sizesOf(withSymbols, packages)
	if err != nil {
		return err
	}
	info, err := os.Stat(released)
	if err != nil {
		return err
	}
	version, err := output("go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	return write(packages.table(sizes, info.Size(), strings.TrimSpace(string(version))))
}

// output runs a command in the root of the project, for a program without C.
func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	return cmd.Output()
}

// graph are the packages of the program by their paths.
type graph map[string]listed

func listPackages() (graph, error) {
	out, err := output("go", "list", "-deps", "-json=ImportPath,Imports,Module", program)
	if err != nil {
		return nil, err
	}
	packages := graph{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages[p.ImportPath] = p
	}
}

// module returns the module of a package; empty: it belongs to Go itself.
func (g graph) module(path string) string {
	if m := g[path].Module; m != nil {
		return m.Path
	}
	return ""
}

func (g graph) isOurs(path string) bool { return g[path].Module != nil && g[path].Module.Main }

// isForeign reports whether a package is neither Go's own nor the program's.
func (g graph) isForeign(path string) bool { return g[path].Module != nil && !g[path].Module.Main }

// without returns what is compiled if the program's own packages do not import a module; empty: everything.
func (g graph) without(module string) map[string]bool {
	compiled := map[string]bool{}
	var add func(path string)
	add = func(path string) {
		if compiled[path] {
			return
		}
		compiled[path] = true
		for _, imported := range g[path].Imports {
			left := module != "" && g.isOurs(path) && g.module(imported) == module
			if _, known := g[imported]; known && !left {
				add(imported)
			}
		}
	}
	for path := range g {
		if g.isOurs(path) && strings.HasSuffix(path, strings.TrimPrefix(program, ".")) {
			add(path)
		}
	}
	return compiled
}

// modules are those of the foreign packages among these, each with the number of its packages.
func (g graph) modules(packages map[string]bool) map[string]int {
	all := map[string]int{}
	for path := range packages {
		if g.isForeign(path) {
			all[g.module(path)]++
		}
	}
	return all
}

// prefix matches what the compiler puts before the path of a package.
var prefix = regexp.MustCompile(`^(type:\.(eq|hash)\.|type:\*?|go:itab\.\*?)`)

// sizesOf returns the bytes of each package in a program, by its symbols.
func sizesOf(path string, packages graph) (map[string]int64, error) {
	out, err := output("go", "tool", "nm", "-size", path)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || strings.EqualFold(fields[2], "B") { // what is zero is not in the file
			continue
		}
		size, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue // a symbol without an address
		}
		symbol := prefix.ReplaceAllString(strings.Join(fields[3:], " "), "")
		name, _, _ := strings.Cut(symbol, "(")
		name, _, _ = strings.Cut(name, "[")
		slash := strings.LastIndex(name, "/") + 1
		dot := strings.Index(name[slash:], ".")
		if dot < 0 {
			continue
		}
		of := strings.ReplaceAll(name[:slash+dot], "%2e", ".")
		if _, known := packages[of]; known {
			sizes[of] += size
		}
	}
	return sizes, lines.Err()
}

// table is the part of the page.
func (g graph) table(sizes map[string]int64, released int64, version string) string {
	all := g.without("")
	direct := map[string]bool{}
	for path := range all {
		if !g.isOurs(path) {
			continue
		}
		for _, imported := range g[path].Imports {
			if g.isForeign(imported) {
				direct[g.module(imported)] = true
			}
		}
	}
	type cost struct {
		module            string
		size              int64
		packages, modules int
	}
	var costs []cost
	for module := range direct {
		rest := g.without(module)
		c := cost{module: module, packages: len(all) - len(rest), modules: len(g.modules(all)) - len(g.modules(rest))}
		for path := range all {
			if !rest[path] {
				c.size += sizes[path]
			}
		}
		costs = append(costs, c)
	}
	slices.SortFunc(costs, func(a, b cost) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(b.modules, a.modules), cmp.Compare(a.module, b.module))
	})
	foreign := 0
	for _, n := range g.modules(all) {
		foreign += n
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The released program has %.1f MB, of %d modules and %d packages outside of Go's own (%s, %s/%s).\n\n",
		float64(released)/1e6, len(g.modules(all)), foreign, version, runtime.GOOS, runtime.GOARCH)
	b.WriteString("| without it | kB | packages | modules |\n|---|---|---|---|\n")
	var shared []string
	for _, c := range costs {
		if c.packages == 0 {
			shared = append(shared, "`"+c.module+"`")
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %d | %d | %d |\n", c.module, (c.size+500)/1000, c.packages, c.modules)
	}
	slices.Sort(shared)
	fmt.Fprintf(&b, "\nOthers need these too, so that they cost nothing: %s.\n", strings.Join(shared, ", "))
	return b.String()
}

func write(table string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		return fmt.Errorf("%s has no lines %s and %s", page, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(page, []byte(before+begin+table+end+after), 0o644)
}
