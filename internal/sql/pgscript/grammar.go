package pgscript

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wasilibs/go-pgquery/parser"
)

// maxDepth is how deep a statement may nest: a parenthesis or a word counts 4, a sign 1. The grammar runs on a small
// stack without a guard page: it overwrites its own memory from about 150 parentheses or 600 operators on.
const maxDepth = 400

// maxBlocks is how deep the blocks of a body in PL/pgSQL may nest, for the same reason: 100 are too many.
const maxBlocks = 30

// parseTimeout is far longer than any parse, which takes milliseconds, and the first one, which takes seconds, or a
// minute on a busy machine. Past it the parser's memory is damaged.
const parseTimeout = 5 * time.Minute

// errInterpreted: without executable memory wazero interprets the module. Its interpreter does not return correctly
// from the long jump with which the grammar reports an error, and then executes something else.
var errInterpreted = errors.New("PostgreSQL's grammar cannot run in this process, because it may not have " +
	"executable memory: set MemoryDenyWriteExecute=no in the unit of systemd, or remove what else denies it")

var errTooDeep = errors.New("nests too deeply to be parsed; divide it into several statements")

// library is the parser, which is used by one caller at a time: a second one would compile it again.
type library struct {
	sync.Mutex
	tested bool  // it returns errors
	broken error // it has failed in a way that may have damaged its memory
}

var grammar library

// syntaxError is an error of the grammar.
type syntaxError struct {
	offset int // in bytes; -1: unknown
	what   string
	near   string // for PL/pgSQL: where in the function
}

func (e *syntaxError) Error() string { return e.what }

// parseSQL returns the statements of a text as PostgreSQL's grammar sees them.
func parseSQL(text string) ([]any, error) {
	out, err := grammar.call(parser.ParseToJSON, text)
	if err != nil {
		return nil, err
	}
	var tree struct {
		Stmts []struct{ Stmt any }
	}
	if err := json.Unmarshal([]byte(out), &tree); err != nil {
		return nil, fmt.Errorf("read the parsed statement: %w", err)
	}
	stmts := make([]any, len(tree.Stmts))
	for i, s := range tree.Stmts {
		stmts[i] = s.Stmt
	}
	return stmts, nil
}

// parsePLpgSQL returns the body of the CREATE FUNCTION, CREATE PROCEDURE or DO statement.
func parsePLpgSQL(statement string) (any, error) {
	out, err := grammar.call(parser.ParsePlPgSqlToJSON, statement)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal([]byte(out), &tree); err != nil {
		return nil, fmt.Errorf("read the parsed function: %w", err)
	}
	return tree, nil
}

type parsed struct {
	json string
	err  error
}

// call parses the text. An error of the grammar is a *syntaxError.
func (l *library) call(parse func(string) (string, error), text string) (string, error) {
	l.Lock()
	defer l.Unlock()
	if l.broken != nil {
		return "", l.broken
	}
	if depth(text) > maxDepth {
		return "", errTooDeep
	}
	if !l.tested {
		var e *syntaxError
		if _, err := l.run(parse, "an error"); !errors.As(err, &e) {
			l.broken = errInterpreted
			return "", l.broken
		}
		l.tested = true
	}
	return l.run(parse, text)
}

// run is call without the checks.
func (l *library) run(parse func(string) (string, error), text string) (string, error) {
	done := make(chan parsed, 1)
	go func() {
		var p parsed
		defer func() {
			if r := recover(); r != nil {
				p.err = fmt.Errorf("the parser of PostgreSQL's grammar failed: %v", r)
			}
			done <- p
		}()
		p.json, p.err = parse(text)
	}()
	select {
	case p := <-done:
		var e *parser.Error
		if errors.As(p.err, &e) {
			return "", &syntaxError{offset: byteOffset(text, e.Cursorpos), what: e.Message, near: e.Context}
		}
		l.broken = p.err
		return p.json, p.err
	case <-time.After(parseTimeout):
		l.broken = fmt.Errorf("the parser of PostgreSQL's grammar did not end within %s", parseTimeout)
		return "", l.broken
	}
}

// byteOffset is the offset of the character at a position from 1, in bytes; -1 for 0, which means unknown.
func byteOffset(text string, position int) int {
	if position < 1 {
		return -1
	}
	for at := range text {
		if position--; position == 0 {
			return at
		}
	}
	return len(text)
}

// blocks is how deep the blocks of a body in PL/pgSQL nest.
func blocks(body string) int {
	open, deepest, before := 0, 0, ""
	for at := 0; at < len(body); {
		t := nextToken(body, at)
		at = t.end
		if t.kind == blank {
			continue
		}
		w := t.lower(body)
		switch w {
		case "if":
			switch before {
			case ";", "then", "else", "loop", "begin": // not DROP TABLE IF EXISTS
				open++
			}
		case "begin", "loop", "case":
			if before != "end" {
				open++
			}
		case "end":
			open--
		}
		deepest, before = max(deepest, open), w
	}
	return deepest
}

// depth is an upper bound of how deep the text nests, in the unit of maxDepth.
func depth(text string) int {
	type level struct {
		isCase       bool
		expr, clause int // operators since the last comma; clauses that nest, since the level began
	}
	levels := []level{{}}
	deepest, below := 0, 0 // below: what the levels below the top add
	push := func(isCase bool) {
		top := levels[len(levels)-1]
		below += 4 + top.expr + top.clause
		levels = append(levels, level{isCase: isCase})
	}
	pop := func() {
		if len(levels) > 1 {
			levels = levels[:len(levels)-1]
			top := levels[len(levels)-1]
			below -= 4 + top.expr + top.clause
		}
	}
	for at := 0; at < len(text); {
		t := nextToken(text, at)
		at = t.end
		top := &levels[len(levels)-1]
		switch t.kind {
		case sign:
			switch text[t.start] {
			case '(', '[':
				push(false)
			case ')', ']':
				pop()
			case ',', ';':
				top.expr = 0
				if text[t.start] == ';' {
					top.clause = 0
				}
			case '.':
			default:
				top.expr++
			}
		case word:
			switch t.lower(text) {
			case "and", "or", "where", "when", "then", "else", "on", "from", "select", "values", "loop", "begin":
				top.expr = 0
			case "join", "union", "except", "intersect":
				top.clause++
			case "case":
				push(true)
			case "end":
				if top.isCase {
					pop()
				}
			case "not", "is", "isnull", "notnull", "in", "like", "ilike", "similar", "between", "at", "collate", "cast",
				"row", "array":
				top.expr += 4
			}
		case blank, quoted, literal, backslash:
		}
		top = &levels[len(levels)-1]
		deepest = max(deepest, below+top.expr+top.clause)
	}
	return deepest
}
