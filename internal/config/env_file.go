package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/spelling"
	"example.com/tenant-provisioner/internal/sql/postgres"
)

// EnvFile is a file of variables: NAME=value lines, as shells, systemd and Docker read them. A value may be in single
// quotation marks, in which everything is literal, or in double ones, in which a backslash escapes ", \, $ and `.
// Nothing is expanded, and a comment is a line of its own: passwords contain $ and #. Of two lines with the same name
// the last counts.
type EnvFile struct {
	path   string
	values map[string]string
	lines  map[string]int // by name, where its value is
	names  []string       // in the order of their first lines
}

// ReadEnvFile reads a file of variables. Its error names each line that is wrong, without a value, as an [Error].
func ReadEnvFile(path string) (*EnvFile, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, NewError(fmt.Errorf("--env-file: %w", err))
	}
	f := &EnvFile{path: path, values: map[string]string{}, lines: map[string]int{}}
	text := strings.TrimPrefix(string(content), "\ufeff")
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, NewError(fmt.Errorf("--env-file: %s is not UTF-8; save it as UTF-8", path))
	}
	var faults []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, err := parseEnvLine(line)
		if err != nil {
			faults = append(faults, fmt.Errorf("--env-file: %s, line %d: %w", path, number, err))
			continue
		}
		if f.lines[name] == 0 {
			f.names = append(f.names, name)
		}
		f.values[name], f.lines[name] = value, number
	}
	return f, NewError(errors.Join(faults...))
}

var (
	exportWord = regexp.MustCompile(`^export[ \t]+`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// parseEnvLine reads NAME=value. Its error contains no value.
func parseEnvLine(line string) (name, value string, err error) {
	name, value, found := strings.Cut(exportWord.ReplaceAllString(line, ""), "=")
	switch {
	case !found:
		return "", "", errors.New("write NAME=value, or # before a comment")
	case !envName.MatchString(name):
		return "", "", errors.New("the name of a variable has letters, digits and _ alone, without blanks before =")
	}
	value, err = unquoteEnv(strings.TrimSpace(value))
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	return name, value, nil
}

// unquoteEnv returns a value without its quotation marks.
func unquoteEnv(text string) (string, error) {
	if text == "" || text[0] != '"' && text[0] != '\'' {
		return text, nil
	}
	quote := text[0]
	var value strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == quote && i == len(text)-1:
			return value.String(), nil
		case text[i] == quote:
			return "", errors.New("text after the closing quotation mark; a comment is a line of its own")
		case quote == '"' && text[i] == '\\' && i+1 < len(text) && strings.IndexByte("\"\\$`", text[i+1]) >= 0:
			i++
		}
		value.WriteByte(text[i])
	}
	return "", errors.New("the closing quotation mark is missing; a value has one line")
}

// bare matches values that need no quotation marks, also where a shell reads them.
var bare = regexp.MustCompile(`^[A-Za-z0-9_./:@,%+=-]*$`)

// EnvLine returns the line of a variable in a file of variables.
func EnvLine(name, value string) string {
	switch {
	case bare.MatchString(value):
	case !strings.Contains(value, "'"):
		value = "'" + value + "'"
	default:
		value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value) + `"`
	}
	return name + "=" + value
}

// fromLibraries begins the names of variables that libraries read from the process.
var fromLibraries = []string{"PG", "OTEL_", "SSL_CERT_"}

// Under returns the environment with the variables of the file that are not set in it. Of NAME and NAME_FILE, too, the
// environment's counts. It sets in the process those that libraries read from there.
func (f *EnvFile) Under(env envconfig.Lookuper) (envconfig.Lookuper, error) {
	values := map[string]string{}
	for name, value := range f.values {
		_, set := env.Lookup(name)
		if other, _ := env.Lookup(counterpart(name)); set || other != "" {
			continue
		}
		values[name] = value
		for _, prefix := range fromLibraries {
			if _, set := os.LookupEnv(name); strings.HasPrefix(name, prefix) && !set {
				if err := os.Setenv(name, value); err != nil {
					return nil, fmt.Errorf("--env-file: %s, line %d: %s: %w", f.path, f.lines[name], name, err)
				}
			}
		}
	}
	return envconfig.MultiLookuper(env, envconfig.MapLookuper(values)), nil
}

// counterpart is NAME of NAME_FILE, and the reverse.
func counterpart(name string) string {
	if value, found := strings.CutSuffix(name, fileSuffix); found {
		return value
	}
	return name + fileSuffix
}

// ofSystem are the variables of the system that have an effect here.
var ofSystem = []string{
	"HOME", "XDG_CONFIG_HOME", "NO_COLOR", "CLICOLOR_FORCE", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// Unknown returns a warning for each variable of the file that has no effect.
func (f *EnvFile) Unknown() (warnings []string) {
	ours := namesOf(variables())
	known := slices.Concat(ours, traceNames(), ofSystem)
	for _, v := range postgres.Variables {
		known = append(known, v.Name)
	}
	for _, name := range f.names {
		if slices.Contains(known, name) {
			continue
		}
		meant := ""
		if closest := spelling.Closest(name, ours); closest != "" {
			meant = "; did you mean " + closest + "?"
		}
		warnings = append(warnings, fmt.Sprintf("%s, line %d: %s is not a variable of this program, and has no effect%s",
			f.path, f.lines[name], name, meant))
	}
	return warnings
}
