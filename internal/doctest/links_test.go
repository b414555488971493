package doctest

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Promise 4.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, d := range append(documents(t), read(t, "CHANGELOG.md")) {
		for _, link := range d.links {
			u, err := url.Parse(link.text)
			if err != nil {
				t.Errorf("%s:%d: %s: %v", d.path, link.line, link.text, err)
				continue
			}
			if u.Host != "" { // external
				continue
			}
			target := path.Join(path.Dir(d.path), u.Path)
			if u.Path == "" {
				target = d.path
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s:%d: %s: there is no %s", d.path, link.line, link.text, target)
				continue
			}
			if u.Fragment == "" {
				continue
			}
			if !strings.HasSuffix(target, ".md") || !slices.Contains(read(t, target).anchors(), u.Fragment) {
				t.Errorf("%s:%d: %s: %s has no such heading", d.path, link.line, link.text, target)
			}
		}
	}
}
