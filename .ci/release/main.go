// Command release builds the published files: for each platform an archive with a static program and its documents,
// and the same as .deb and .rpm; the image for all platforms; for each archive and the image a list of its software
// (SBOM); and their checksums. make release runs it.
//
// # What it promises
//
// One commit and one version of Go give the same bytes on every machine, which make release-check shows:
//
//  1. It builds only a commit: it rejects a tree with changes, and a program that reports another commit.
//  2. The result does not depend on the machine: paths are trimmed, owners and times are fixed (SOURCE_DATE_EPOCH, by
//     default the commit's time), names are sorted, and the environment's settings for Go are ignored.
//  3. Certificates in the image come from a module, at the version in go.mod, and not from the machine.
//
// A run that fails leaves no checksums behind.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// name is that of the project, the archives and the image.
const name = "tenant-provisioner"

// licence is the project's, as SPDX identifies it.
const licence = "Apache-2.0"

// platforms are the architectures of Linux that are released.
var platforms = []string{"amd64", "arm64"}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "release: name the repository: make release does")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := release(ctx, os.Args[1], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// release builds all of dist in the repository.
func release(ctx context.Context, dir string, out io.Writer) error {
	repository, err := openRepository(ctx, dir)
	if err != nil {
		return err
	}
	dist := filepath.Join(repository.dir, "dist")
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	var programs []program
	for _, platform := range platforms {
		fmt.Fprintf(out, "build linux/%s\n", platform)
		p, err := repository.build(ctx, platform, filepath.Join(work, "consumer-"+platform))
		if err != nil {
			return fmt.Errorf("linux/%s: %w", platform, err)
		}
		programs = append(programs, p)
	}
	scripts, err := completions(ctx, programs)
	if err != nil {
		return err
	}
	pages, err := repository.manual(ctx, programs, work)
	if err != nil {
		return err
	}
	documents, err := repository.documents(ctx)
	if err != nil {
		return err
	}
	licences, err := repository.licences()
	if err != nil {
		return err
	}
	components, err := repository.components()
	if err != nil {
		return err
	}
	for _, p := range programs {
		stem := fmt.Sprintf("%s_%s_linux_%s", name, p.version, p.platform)
		files := slices.Concat([]file{p.file("consumer")}, scripts, pages, documents, licences)
		err := writeArchive(filepath.Join(dist, stem+".tar.gz"), below(stem, files), repository.time)
		if err != nil {
			return err
		}
		if err := repository.writePackages(dist, work, p, files); err != nil {
			return fmt.Errorf("linux/%s: %w", p.platform, err)
		}
		bom, err := repository.archiveBOM(p, components)
		if err != nil {
			return fmt.Errorf("linux/%s: SBOM: %w", p.platform, err)
		}
		if err := writeBOM(filepath.Join(dist, stem+".cdx.json"), bom); err != nil {
			return err
		}
	}
	image := filepath.Join(dist, fmt.Sprintf("%s_%s_image", name, programs[0].version))
	if err := writeImage(image+".tar", repository, programs, licences, work); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	bom, err := repository.imageBOM(programs, components)
	if err != nil {
		return fmt.Errorf("image: SBOM: %w", err)
	}
	if err := writeBOM(image+".cdx.json", bom); err != nil {
		return err
	}
	sums, err := writeSums(dist)
	if err != nil {
		return err
	}
	fmt.Fprint(out, sums)
	return nil
}

// writeSums writes SHA256SUMS of all files in the directory, as sha256sum does.
func writeSums(dist string) (string, error) {
	entries, err := os.ReadDir(dist) // sorted
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, entry := range entries {
		f, err := os.Open(filepath.Join(dist, entry.Name()))
		if err != nil {
			return "", err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%x  %s\n", sum.Sum(nil), entry.Name())
	}
	return b.String(), os.WriteFile(filepath.Join(dist, "SHA256SUMS"), []byte(b.String()), 0o644)
}
