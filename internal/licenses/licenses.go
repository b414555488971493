// Package licenses provides the licences of the software that the program contains. make licenses writes its files from
// the modules that are compiled into the program.
package licenses

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Text lists the components and has the texts of their licences, notices and patent grants.
//
//go:embed THIRD_PARTY_LICENSES.txt
var Text string

//go:embed components.jsonl
var components string

// Component is a module that is compiled into the program, or software in another language that a module contains.
type Component struct {
	Name     string   `json:"name"` // path of the module, or name of the software
	Version  string   `json:"version,omitempty"`
	Of       string   `json:"of,omitempty"` // what contains it, if it is not a module
	Licenses []string `json:"licenses"`     // SPDX identifiers; all of them apply
}

// Components returns the program itself, then what it contains, in the order of Text.
func Components() ([]Component, error) {
	var all []Component
	for lines := json.NewDecoder(strings.NewReader(components)); ; {
		var c Component
		switch err := lines.Decode(&c); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("components.jsonl: %w", err)
		}
		all = append(all, c)
	}
}
