package main

import (
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/google/licenseclassifier/v2/assets"
)

// allowed are the licences, by their SPDX identifiers, that permit distribution in a program under any licence, if their
// texts are included.
var allowed = []string{
	"Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PostgreSQL", "Zlib", publicDomain,
}

// spdx are the identifiers for names that the classifier gives to variants of a licence.
var spdx = map[string]string{
	"BSD-2-Clause-FreeBSD":  "BSD-2-Clause",
	"LicenseRef-MIT-Lucent": "MIT",
	"LicenseRef-uthash":     "BSD-1-Clause",
	"Rijndael-3.0":          publicDomain,
	"MIT-Modern-Variant":    "MIT",
	"X11-Lucent":            "MIT",
}

var licences = sync.OnceValues(assets.DefaultClassifier)

// found is what the classifier recognises in a text: SPDX identifiers, in order.
type found struct {
	whole   []string // the text of the licence
	mention []string // a header that refers to the licence
}

func classify(text []byte) (found, error) {
	c, err := licences()
	if err != nil {
		return found{}, err
	}
	whole, mention := map[string]bool{}, map[string]bool{}
	for _, m := range c.Match(text).Matches {
		name := m.Name
		if known, ok := spdx[name]; ok {
			name = known
		}
		switch m.MatchType {
		case "License":
			whole[name] = true
		case "Header":
			mention[name] = true
		}
	}
	if dedication.Match(text) {
		whole[publicDomain] = true
	}
	if gnuNames.Match(text) {
		mention[gnu] = true
	}
	return found{sorted(whole), sorted(mention)}, nil
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// gnu stands for any licence of the GNU project: the classifier does not know those with exceptions in comments.
const gnu = "GNU"

var gnuNames = regexp.MustCompile(`(?i)gnu\s+(lesser\s+|library\s+|affero\s+)?general\s+public\s+licen[cs]e`)

// dedication matches SQLite's, which the classifier does not know.
var dedication = regexp.MustCompile(`(?i)has\s+been\s+dedicated\s+to\s+the\s+public\s+domain`)
