package main

import (
	"go/scanner"
	"go/token"
	"os"
	"regexp"
	"strings"
)

// licensing matches a comment that may concern a licence.
var licensing = regexp.MustCompile(`(?i)licen[cs]|permission is hereby|redistribut|public domain`)

// comments returns the comments of a source file in Go or assembly that may concern a licence, without the marks of
// comments: each run of lines is one.
func comments(path string) ([]string, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile(path, -1, len(source))
	s.Init(file, source, func(token.Position, string) {}, scanner.ScanComments) // assembly is not Go; its comments are
	var all []string
	var run strings.Builder
	last := 0 // the line that the run ends in
	end := func() {
		if text := run.String(); licensing.MatchString(text) {
			all = append(all, text)
		}
		run.Reset()
	}
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			end()
			return all, nil
		}
		if tok != token.COMMENT {
			continue
		}
		if line := file.Line(pos); line != last+1 {
			end()
		}
		run.WriteString(uncomment(text))
		last = file.Line(pos) + strings.Count(text, "\n")
	}
}

// uncomment returns the text of a comment, in lines.
func uncomment(comment string) string {
	if text, ok := strings.CutPrefix(comment, "//"); ok {
		return strings.TrimSpace(text) + "\n"
	}
	comment = strings.TrimSuffix(strings.TrimPrefix(comment, "/*"), "*/")
	var b strings.Builder
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(line)
		b.WriteString(strings.TrimSpace(strings.TrimPrefix(line, "*")) + "\n")
	}
	return b.String()
}
