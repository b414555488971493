package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// ours is the beginning of NOTICE.
const ours = `tenant-provisioner
Copyright 2026 The tenant-provisioner authors

Licensed under the Apache License, Version 2.0. The licences of the software that the program contains are in
THIRD_PARTY_LICENSES.txt; consumer licenses prints them.

The notices of that software:
`

// notice is the file NOTICE: ours, and the notices that section 4(d) of the Apache License requires.
func (c *collection) notice() []byte {
	var b bytes.Buffer
	b.WriteString(ours)
	for _, t := range c.texts {
		if t.notice {
			fmt.Fprintf(&b, "\n%s\n%s\n\n%s", strings.Repeat("-", 72), strings.Join(t.of, "\n"), t.body)
		}
	}
	return b.Bytes()
}

// list is the components, one JSON object a line.
func (c *collection) list() ([]byte, error) {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, of := range c.components {
		if err := lines.Encode(of); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// document is the list of components, remarks, and all texts.
func (c *collection) document() []byte {
	var b bytes.Buffer
	b.WriteString(`tenant-provisioner
Copyright 2026 The tenant-provisioner authors
Licensed under the Apache License, Version 2.0: see LICENSE and NOTICE.

The program contains the software below. Each component has the numbers of its texts, which follow: licences, copyright
notices and patent grants. make licenses writes this file.

`)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tVERSION\tLICENCES\tTEXTS")
	for _, of := range c.components[1:] {
		name := of.Name
		if of.Of != "" {
			name += " (in " + of.Of + ")"
		}
		var numbers []string
		for _, i := range of.texts {
			numbers = append(numbers, fmt.Sprint(i+1))
		}
		version := of.Version
		if version == "" {
			version = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, version, strings.Join(of.Licences, ", "), strings.Join(numbers, ", "))
	}
	table.Flush()
	b.WriteString("\nRemarks\n")
	for _, of := range c.components {
		for _, note := range of.notes {
			b.WriteString("\n" + wrap(of.Name+": "+note))
		}
	}
	for i, t := range c.texts {
		line := strings.Repeat("=", 72)
		fmt.Fprintf(&b, "\n%s\nText %d, of: %s\n%s\n\n%s", line, i+1, strings.Join(t.of, ", "), line, t.body)
	}
	return b.Bytes()
}

// lineLength is the most bytes of a line that this program wraps.
const lineLength = 110

// wrap breaks a sentence into lines.
func wrap(sentence string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(sentence) {
		switch {
		case width > 0 && width+1+len(word) > lineLength:
			b.WriteByte('\n')
			width = 0
		case width > 0:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String() + "\n"
}
