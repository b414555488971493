package doctest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"example.com/tenant-provisioner/internal/testkit"
)

// document has the parts of a Markdown file that tests read.
type document struct {
	path     string // from root
	source   string
	headings []heading
	blocks   []block
	spans    []span // code within sentences
	links    []span
}

type heading struct {
	text  string
	level int
	line  int
}

// block is a code block; line is the number of its first line of code.
type block struct {
	language, code string
	line           int
}

type span struct {
	text string
	line int
}

// documents reads the documents of the root and everything below docs/.
func documents(t *testing.T) []document {
	t.Helper()
	paths := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	testkit.Must(t, fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			paths = append(paths, path)
		}
		return err
	}))
	all := make([]document, len(paths))
	for i, path := range paths {
		all[i] = read(t, path)
	}
	return all
}

func read(t *testing.T, path string) document {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, path))
	testkit.Must(t, err)
	d := document{path: path, source: string(source)}
	line := func(offset int) int { return 1 + bytes.Count(source[:offset], []byte("\n")) }
	near := 1 // inline nodes have no position of their own: they get that of their block
	tree := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	testkit.Must(t, ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			near = line(n.Lines().At(0).Start)
		}
		switch n := n.(type) {
		case *ast.Heading:
			d.headings = append(d.headings, heading{string(plain(n, source)), n.Level, near})
		case *ast.FencedCodeBlock:
			d.blocks = append(d.blocks, block{string(n.Language(source)), string(n.Lines().Value(source)), near})
		case *ast.CodeBlock:
			d.blocks = append(d.blocks, block{"", string(n.Lines().Value(source)), near})
		case *ast.CodeSpan:
			d.spans = append(d.spans, span{string(plain(n, source)), near})
		case *ast.Link:
			d.links = append(d.links, span{string(n.Destination), near})
		case *ast.Image:
			d.links = append(d.links, span{string(n.Destination), near})
		}
		return ast.WalkContinue, nil
	}))
	return d
}

// plain returns the text of a node and of its children.
func plain(n ast.Node, source []byte) []byte {
	var b []byte
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		switch child := child.(type) {
		case *ast.Text:
			b = append(b, child.Segment.Value(source)...)
			if child.SoftLineBreak() {
				b = append(b, ' ')
			}
		case *ast.String:
			b = append(b, child.Value...)
		default:
			b = append(b, plain(child, source)...)
		}
	}
	return b
}

// anchors returns the fragments of the headings, as GitHub generates them.
func (d document) anchors() []string {
	seen := map[string]int{}
	anchors := make([]string, len(d.headings))
	for i, h := range d.headings {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, h.text)
		anchors[i] = slug
		if n := seen[slug]; n > 0 {
			anchors[i] += "-" + string(rune('0'+n))
		}
		seen[slug]++
	}
	return anchors
}

// section returns the headings of a level below a heading, up to the next heading of its own level.
func (d document) section(title string, level int) (below []heading) {
	start := slices.IndexFunc(d.headings, func(h heading) bool { return h.text == title })
	if start < 0 {
		return nil
	}
	for _, h := range d.headings[start+1:] {
		if h.level <= d.headings[start].level {
			break
		}
		if h.level == level {
			below = append(below, h)
		}
	}
	return below
}
