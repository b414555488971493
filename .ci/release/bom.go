package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// certificatesModule has the certificates of the image.
const certificatesModule = "golang.org/x/crypto/x509roots/fallback"

// component is a line of internal/licenses/components.jsonl: a module of the program, or a part of one.
type component struct {
	Name     string   `json:"name"`
	Of       string   `json:"of"`
	Licences []string `json:"licenses"`
}

// components reads the licences of the commit.
func (r *repository) components() (all []component, _ error) {
	text, err := os.ReadFile(filepath.Join(r.dir, "internal", "licenses", "components.jsonl"))
	if err != nil {
		return nil, err
	}
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var c component
		switch err := lines.Decode(&c); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("components.jsonl: %w", err)
		}
		all = append(all, c)
	}
}

// archiveBOM lists what is in the archive of a program.
func (r *repository) archiveBOM(p program, licences []component) (*cdx.BOM, error) {
	modules, err := p.modules(licences)
	if err != nil {
		return nil, err
	}
	b := r.newBOM(p.component(), p.platform)
	b.Components = &modules
	b.Dependencies = &[]cdx.Dependency{{Ref: b.Metadata.Component.BOMRef, Dependencies: refs(modules)}}
	return b, nil
}

// imageBOM lists what is in the image: the programs of all platforms, and the certificates.
func (r *repository) imageBOM(programs []program, licences []component) (*cdx.BOM, error) {
	b := r.newBOM(cdx.Component{
		BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: name, Version: programs[0].version,
		Licenses: choice([]string{licence}),
	}, "image")
	all, err := imageParts(licences)
	if err != nil {
		return nil, err
	}
	for _, p := range programs {
		all = append(all, p.component())
	}
	uses := []cdx.Dependency{{Ref: "image", Dependencies: refs(all)}}
	for _, p := range programs {
		modules, err := p.modules(licences)
		if err != nil {
			return nil, err
		}
		uses = append(uses, cdx.Dependency{Ref: p.component().BOMRef, Dependencies: refs(modules)})
		for _, m := range modules {
			if !slices.ContainsFunc(all, func(c cdx.Component) bool { return c.BOMRef == m.BOMRef }) {
				all = append(all, m)
			}
		}
	}
	b.Components, b.Dependencies = &all, &uses
	return b, nil
}

// newBOM is a list of that component, with a serial number that is the same for the same commit.
func (r *repository) newBOM(of cdx.Component, kind string) *cdx.BOM {
	b := cdx.NewBOM()
	b.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, []byte(name+" "+r.revision+" "+of.Version+" "+kind)).URN()
	b.Metadata = &cdx.Metadata{
		Timestamp: r.time.Format("2006-01-02T15:04:05Z"),
		Authors:   &[]cdx.OrganizationalContact{{Name: "The tenant-provisioner authors"}},
		Component: &of,
	}
	return b
}

// component is the program itself.
func (p program) component() cdx.Component {
	return cdx.Component{
		BOMRef: "consumer-linux-" + p.platform, Type: cdx.ComponentTypeApplication, Name: name, Version: p.version,
		PackageURL: purl(p.info.Main.Path, p.version), Licenses: choice([]string{licence}),
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sha256.Sum256(p.text))}},
	}
}

// modules are the modules that the program reports, and Go's standard library.
func (p program) modules(licences []component) (all []cdx.Component, _ error) {
	const standard = "Go standard library" // in components.jsonl
	toolchain := strings.TrimPrefix(p.info.GoVersion, "go")
	if i := strings.IndexByte(toolchain, ' '); i >= 0 { // experiments
		toolchain = toolchain[:i]
	}
	std, err := library(standard, "std", toolchain, "", licences)
	if err != nil {
		return nil, err
	}
	all = append(all, std)
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c, err := library(m.Path, m.Path, m.Version, m.Sum, licences)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// library is a module with its parts, by the path that it has in the list of licences.
func library(listed, path, version, sum string, licences []component) (cdx.Component, error) {
	c := cdx.Component{
		BOMRef: purl(path, version), Type: cdx.ComponentTypeLibrary, Name: path, Version: version,
		PackageURL: purl(path, version),
	}
	// go.sum's h1 is a SHA-256 of the module's files, in base64.
	if digest, ok := strings.CutPrefix(sum, "h1:"); ok {
		raw, err := base64.StdEncoding.DecodeString(digest)
		if err != nil {
			return c, fmt.Errorf("%s: sum: %w", path, err)
		}
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", raw)}}
	}
	var parts []cdx.Component
	for _, l := range licences {
		switch {
		case l.Of == listed:
			parts = append(parts, cdx.Component{
				BOMRef: c.BOMRef + "#" + l.Name, Type: cdx.ComponentTypeLibrary, Name: l.Name, Licenses: choice(l.Licences),
			})
		case l.Of == "" && l.Name == listed:
			c.Licenses = choice(l.Licences)
		}
	}
	if c.Licenses == nil {
		return c, fmt.Errorf("%s is in the program, but not in internal/licenses; run: make licenses", listed)
	}
	if len(parts) > 0 {
		c.Components = &parts
	}
	return c, nil
}

// imageParts are what only the image has.
func imageParts(licences []component) (all []cdx.Component, _ error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errors.New("this program has no build info, which names the version of the certificates")
	}
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == certificatesModule })
	if i < 0 {
		return nil, fmt.Errorf("this program's build info does not name %s", certificatesModule)
	}
	for _, l := range licences {
		if l.Of == "container image" {
			all = append(all, cdx.Component{
				BOMRef: "image#" + l.Name, Type: cdx.ComponentTypeData, Name: l.Name, Version: info.Deps[i].Version,
				PackageURL: purl(certificatesModule, info.Deps[i].Version), Licenses: choice(l.Licences),
			})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("internal/licenses does not name the certificates of the image")
	}
	return all, nil
}

// purl identifies a module as a package URL.
func purl(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// choice states licences: one by its identifier, or all as an expression.
func choice(ids []string) *cdx.Licenses {
	if len(ids) == 1 && !strings.ContainsAny(ids[0], " ") && !strings.HasPrefix(ids[0], "LicenseRef-") {
		return &cdx.Licenses{{License: &cdx.License{ID: ids[0]}}}
	}
	return &cdx.Licenses{{Expression: strings.Join(ids, " AND ")}}
}

func refs(all []cdx.Component) *[]string {
	var names []string
	for _, c := range all {
		names = append(names, c.BOMRef)
	}
	return &names
}

// writeBOM writes the list as CycloneDX 1.6, which more tools read than later versions.
func writeBOM(name string, b *cdx.BOM) error {
	var text bytes.Buffer
	encoder := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		return err
	}
	return os.WriteFile(name, text.Bytes(), 0o644)
}
