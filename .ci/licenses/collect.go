package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licenseclassifier/v2/assets"
)

// component is a module, or a part of one.
type component struct {
	Name     string   `json:"name"`
	Version  string   `json:"version,omitempty"`
	Of       string   `json:"of,omitempty"` // what contains the part
	Licences []string `json:"licenses"`     // SPDX identifiers; all of them apply
	notes    []string
	texts    []int // positions in collection.texts
}

// text is one text of a licence, notice or patent grant, and the components that have it.
type text struct {
	body   string
	notice bool // of a module under the Apache License, whose section 4(d) requires to pass it on
	of     []string
}

type collection struct {
	components []component
	texts      []text
	known      map[string]int // positions of texts by key
}

// fileNames matches files with licences, notices and patent grants.
var fileNames = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([-_.].*)?$`)

// collect reads the licences of the modules and of the parts.
func collect(modules []*module) (*collection, error) {
	c := &collection{known: map[string]int{}}
	c.components = append(c.components, component{Name: "tenant-provisioner", Licences: []string{"Apache-2.0"}})
	dirs := map[string]string{}
	for _, m := range modules {
		if err := c.addModule(m); err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		dirs[m.path] = m.dir
		if err := c.addParts(m.path, m.dir); err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
	}
	for _, p := range parts {
		if dirs[p.of] == "" && p.of != image {
			return nil, fmt.Errorf("parts.go names %s of %s, which is not in the program", p.name, p.of)
		}
	}
	return c, c.addParts(image, "")
}

// addModule adds the module with the texts of its files and comments.
func (c *collection) addModule(m *module) error {
	of := component{Name: m.path, Version: m.version}
	ids := map[string]bool{}
	for _, dir := range m.above() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() || !fileNames.MatchString(entry.Name()) || filepath.Ext(entry.Name()) == ".go" {
				continue
			}
			if err := c.addFile(&of, m, filepath.Join(dir, entry.Name()), ids); err != nil {
				return err
			}
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("no licence in %s", m.dir)
	}
	if err := c.addComments(&of, m, ids); err != nil {
		return err
	}
	of.Licences = sorted(ids)
	c.components = append(c.components, of)
	return nil
}

func (c *collection) addFile(of *component, m *module, path string, ids map[string]bool) error {
	name, err := filepath.Rel(m.dir, path)
	if err != nil {
		return err
	}
	ofPart := slices.ContainsFunc(parts, func(p part) bool { return p.of == m.path && p.file == name })
	if skipped[m.path][name] != "" || ofPart {
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	base := strings.ToUpper(filepath.Base(name))
	switch {
	case strings.HasPrefix(base, "PATENTS"):
		c.addText(of, string(body), false)
		return nil
	case strings.HasPrefix(base, "NOTICE"):
		c.addText(of, string(body), ids["Apache-2.0"])
		return nil
	}
	f, err := classify(body)
	if err != nil {
		return err
	}
	for _, id := range slices.Concat(f.whole, f.mention) {
		if !slices.Contains(allowed, id) {
			return fmt.Errorf("%s: licence %s is not in allowed (classify.go)", name, id)
		}
		ids[id] = true
	}
	if len(f.whole) == 0 {
		return fmt.Errorf("%s: unknown licence; read it, then extend the tables of classify.go or exceptions.go", name)
	}
	c.addText(of, string(body), false)
	return nil
}

// digits differ between comments that are the same licence: years.
var digits = regexp.MustCompile(`[0-9]+`)

func (c *collection) addComments(of *component, m *module, ids map[string]bool) error {
	seen := map[string]bool{}
	for _, path := range sorted(m.files) {
		if !slices.Contains([]string{".go", ".s", ".h"}, filepath.Ext(path)) {
			continue
		}
		all, err := comments(path)
		if err != nil {
			return err
		}
		for _, comment := range all {
			key := digits.ReplaceAllString(comment, "0")
			if seen[key] {
				continue
			}
			seen[key] = true
			f, err := classify([]byte(comment))
			if err != nil {
				return err
			}
			for _, id := range slices.Concat(f.whole, f.mention) {
				switch reason := mentioned[m.path][id]; {
				case slices.Contains(allowed, id):
				case reason == "":
					return fmt.Errorf("%s: a comment names the licence %s, which is not in allowed (classify.go)", path, id)
				case !slices.Contains(of.notes, reason):
					of.notes = append(of.notes, reason)
				}
			}
			if len(f.whole) > 0 {
				c.addText(of, comment, false)
			}
			for _, id := range f.whole {
				ids[id] = true
			}
		}
	}
	return nil
}

// addParts adds the parts of a module in dir.
func (c *collection) addParts(module, dir string) error {
	for _, p := range parts {
		if p.of != module {
			continue
		}
		of := component{Name: p.name, Of: module, Licences: p.licences, notes: []string{p.note}}
		if p.file != "" {
			body, err := os.ReadFile(filepath.Join(dir, p.file))
			if err != nil {
				return err
			}
			if p.comment {
				first, _, ok := strings.Cut(string(body), "*/")
				if !ok {
					return fmt.Errorf("%s does not begin with a comment", p.file)
				}
				body = []byte(uncomment(first))
			}
			if err := p.check(body); err != nil {
				return err
			}
			c.addText(&of, string(body), false)
		}
		for _, name := range p.standard {
			body, err := assets.ReadLicenseFile("License/" + name)
			if err != nil {
				return err
			}
			c.addText(&of, readable(string(body)), false)
		}
		c.components = append(c.components, of)
	}
	return nil
}

// readable returns a text of the classifier's collection as a person reads it. The copyright of a template is in the
// part's note.
func readable(body string) string {
	var b strings.Builder
	for line := range strings.Lines(html.UnescapeString(body)) {
		switch {
		case strings.Contains(line, "<year>"):
		case len(line) > lineLength:
			b.WriteString(wrap(line))
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// check checks that the text still is of the licences that parts.go names.
func (p part) check(body []byte) error {
	f, err := classify(body)
	if err != nil {
		return err
	}
	if !slices.Equal(f.whole, slices.Sorted(slices.Values(p.licences))) {
		return fmt.Errorf("%s: parts.go names the licences %v; the text is of %v", p.file, p.licences, f.whole)
	}
	return nil
}

// addText adds the text, unless it is known.
func (c *collection) addText(of *component, body string, notice bool) {
	body = strings.Trim(strings.ReplaceAll(body, "\r\n", "\n"), "\n") + "\n"
	key := strings.Join(strings.Fields(body), " ")
	i, ok := c.known[key]
	if !ok {
		i = len(c.texts)
		c.known[key] = i
		c.texts = append(c.texts, text{body: body, notice: notice})
	}
	if !slices.Contains(of.texts, i) {
		of.texts = append(of.texts, i)
		c.texts[i].of = append(c.texts[i].of, of.Name)
	}
}
