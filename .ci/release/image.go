package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody runs the program in the image; by number, as in the Dockerfile.
const nobody = 65532

// writeImage writes the image for all platforms as an OCI layout, in a tar. It has the layout of the Dockerfile's.
// A manifest.json beside it lets docker load read the images even if it does not support OCI layouts.
func writeImage(name string, r *repository, programs []program, licences []file, work string) error {
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var legacy []legacyImage
	for _, p := range programs {
		image, err := r.image(p, licences)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: p.platform},
		}})
		entry, err := legacyOf(image, p)
		if err != nil {
			return err
		}
		legacy = append(legacy, entry)
	}
	dir := filepath.Join(work, "image")
	root, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	err = root.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": programs[0].version,
		"io.containerd.image.name":          "docker.io/library/" + tag(programs[0].version),
	}))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(legacy)
	if err != nil {
		return err
	}
	files := []file{{path: "manifest.json", mode: 0o644, text: manifest}}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		files = append(files, file{path: filepath.ToSlash(inside), mode: 0o644, text: text})
		return err
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := writeTar(&b, files, r.time); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// tag is the image's name with that version. A tag cannot contain +.
func tag(version string) string { return name + ":" + strings.ReplaceAll(version, "+", "-") }

// image is the image for one platform: as the Dockerfile builds it, but in one layer. Its configuration comes from the
// Dockerfile; its files are listed here.
func (r *repository) image(p program, licences []file) (v1.Image, error) {
	files := slices.Concat(below("licenses", licences), []file{
		p.file("consumer"),
		{path: "data", mode: 0o755, owner: nobody, dir: true},
		{path: "tmp", mode: 0o1777, dir: true}, // because the image starts empty
		{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, text: certificates()},
	})
	var b bytes.Buffer
	if err := writeTar(&b, files, r.time); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	config, err := r.dockerConfig(map[string]string{
		"VERSION": p.version, "REVISION": r.revision, "CREATED": r.time.Format(time.RFC3339),
	})
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: r.time}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: p.platform, Created: created, RootFS: v1.RootFS{Type: "layers"}, Config: config,
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer: layer, History: v1.History{Created: created, CreatedBy: "make release"},
	})
}

// certificates are Mozilla's roots, except those that are trusted under conditions, which a file cannot express.
func certificates() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return b.Bytes()
}

// legacyImage is an image in manifest.json, as docker save writes it.
type legacyImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func legacyOf(image v1.Image, p program) (legacyImage, error) {
	config, err := image.ConfigName()
	if err != nil {
		return legacyImage{}, err
	}
	l := legacyImage{Config: blob(config), RepoTags: []string{tag(p.version) + "-" + p.platform}}
	layers, err := image.Layers()
	if err != nil {
		return l, err
	}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return l, err
		}
		l.Layers = append(l.Layers, blob(digest))
	}
	return l, nil
}

// blob is the layout's path of the content with that digest.
func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }
