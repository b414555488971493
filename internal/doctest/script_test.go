package doctest

import (
	"fmt"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// statement is one shell command of a document.
type statement struct {
	text string // without the comment after it
	line int    // in the document
	exit string // the exit code that the comment names; otherwise 0
	name string // program and arguments, one space between them, without assignments and the program's directory
}

var exits = regexp.MustCompile(`^\s*# exits (\d)`)

// statements reads the shell commands of a document.
func (d document) statements() (all []statement, err error) {
	for _, b := range d.blocks {
		if b.language != "sh" {
			continue
		}
		file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(b.code), "")
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", d.path, b.line, err)
		}
		for _, s := range file.Stmts {
			begin, end := int(s.Pos().Offset()), int(s.End().Offset())
			rest, _, _ := strings.Cut(b.code[end:], "\n")
			one := statement{
				text: b.code[begin:end], line: b.line + int(s.Pos().Line()) - 1, exit: "0", name: name(s, b.code),
			}
			if m := exits.FindStringSubmatch(rest); m != nil {
				one.exit = m[1]
			}
			all = append(all, one)
		}
	}
	return all, nil
}

func name(s *syntax.Stmt, code string) string {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok {
		return code[s.Pos().Offset():s.End().Offset()]
	}
	words := make([]string, len(call.Args))
	for i, arg := range call.Args {
		words[i] = code[arg.Pos().Offset():arg.End().Offset()]
	}
	return strings.TrimPrefix(strings.Join(words, " "), "bin/")
}

// endless matches commands that run until they are stopped.
var endless = regexp.MustCompile(`^consumer( run)?$|^consumer watch\b|^nats sub\b`)

// isService reports whether a command is the service itself.
func (s statement) isService() bool { return s.name == "consumer" || s.name == "consumer run" }

// prelude begins each script. A reader runs one service at a time, and ends it before another one.
const prelude = `
set -u
service= watchers=
fail() { printf '%s\n' "$*" >&3; stop; exit 1; }
end() { # where, process, expected exit codes
  kill -0 "$2" 2>/dev/null || { code=0; wait "$2" || code=$?; printf '%s\n' "$1: ended by itself, exit code $code" >&3; exit 1; }
  kill "$2"; code=0; wait "$2" || code=$?
  case " $3 " in *" $code "*) ;; *) printf '%s\n' "$1: exit code $code after SIGTERM" >&3; exit 1 ;; esac
}
stop() {
  for w in $watchers; do end "${w%=*}" "${w#*=}" "0 1 143"; done; watchers=
  if [ -n "$service" ]; then s=$service; service=; end "${s%=*}" "${s#*=}" "0"; fi
}
serving() { # until the service takes requests
  until consumer health >/dev/null 2>&1; do
    kill -0 "${service#*=}" 2>/dev/null || fail "${service%=*}: the service has ended"
    sleep 0.1
  done
}
`

// script returns a shell script that runs the statements as a reader does. It writes to descriptor 3 which statement
// did not exit as the document says.
func script(document string, all []statement) string {
	var b strings.Builder
	b.WriteString(prelude)
	for _, s := range all {
		where := fmt.Sprintf("%s:%d", document, s.line)
		fmt.Fprintf(&b, "echo '== %s' >&2\n", where)
		switch {
		case s.isService():
			fmt.Fprintf(&b, "stop\n%s &\nservice=%s=$!\nserving\n", s.text, where)
		case endless.MatchString(s.name):
			fmt.Fprintf(&b, "%s &\nwatchers=\"$watchers %s=$!\"\n", s.text, where)
		default:
			fmt.Fprintf(&b, "code=0; {\n%s\n} || code=$?\n[ $code = %s ] || fail \"%s: exit code $code, not %s\"\n",
				s.text, s.exit, where, s.exit)
		}
	}
	b.WriteString("stop\n")
	return b.String()
}
