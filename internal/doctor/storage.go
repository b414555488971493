package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/terminal"
)

const (
	// leastSpace is the free space, in bytes, that leaves time to react.
	leastSpace = 1 << 30
	// leastTenants is the number of further tenants that should fit, for the same reason.
	leastTenants = 1000
	// spareSpaceFatal is the free space, in bytes, below which a block of a stream or a transaction of the registry may
	// not fit.
	spareSpaceFatal = 16 << 20
)

// examineStorage checks the directory of tenants' files.
func examineStorage(ctx context.Context, c config.Config) []Finding {
	root := c.SQLite().Root
	checks, d := examineDirectory(root, filesystem.ForDatabases, "DATABASE_URL", "storage", "storage_filesystem")
	rehearsal := examineFileRehearsal(ctx, c)
	if d == nil {
		return append(checks, rehearsal)
	}
	if found := checkRegistryFiles(c.SQLite().RegistryFile()); found.Status != OK {
		checks[0] = found
	}
	var size int64 // unknown: the scripts decide
	if !c.OwnDefinition() {
		var err error
		if size, err = sqlite.FileSize(ctx); err != nil {
			return append(checks, unreadable("storage_space", err), rehearsal)
		}
	}
	return append(checks, checkSpace("storage_space", *d, size), rehearsal)
}

// examineFileRehearsal runs scripts and seed data in a tenant's file that is in memory only.
func examineFileRehearsal(ctx context.Context, c config.Config) Finding {
	const name = "storage_rehearsal"
	if c.Scripts() == nil && c.Seeds() == nil {
		return ok(name, "INIT_SCRIPTS and SEED_DATA are not set")
	}
	ctx, cancel := context.WithTimeout(ctx, rehearsalTime(c))
	defer cancel()
	if err := sqlite.RehearseFurther(ctx, c.SQLite()); err != nil {
		return fault(name, "correct the file that the message names, then run doctor again",
			"the service does not start: %s", explained(err))
	}
	return ok(name, "scripts and seed data run in a tenant's file, in memory")
}

// checkRegistryFiles checks that the registry's directory, which may be on another file system, and its file can be
// written to, where they exist: another user, such as DocEX's, may have made them.
func checkRegistryFiles(registry string) Finding {
	const name = "storage"
	dir := filepath.Dir(registry)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return ok(name, "%s does not exist yet", terminal.Plain(dir))
	}
	tried, _ := examineDirectory(dir, filesystem.ForDatabases, "DATABASE_URL", name, name)
	if tried[0].Status != OK {
		return tried[0]
	}
	file := terminal.Plain(registry)
	info, err := os.Stat(registry)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return unreadable(name, err)
	case !info.Mode().IsRegular():
		return fault(name, "move it away: the service creates the registry there", "%s is not a file", file)
	default:
		if err := sqlite.MayWrite(registry); err != nil {
			return fault(name, "run the service as the owner of the file, or give it the file", "the registry %s: %s", file, err)
		}
	}
	return tried[0]
}

// examineEmbedded checks the directory of the embedded NATS server.
func examineEmbedded(c config.Config) []Finding {
	checks, d := examineDirectory(c.EmbeddedDir, filesystem.ForStreams, "NATS_EMBEDDED_DIR", "embedded_directory",
		"embedded_filesystem")
	if d == nil {
		return checks
	}
	return append(checks, checkSpace("embedded_space", *d, 0))
}

// examineDirectory checks that a directory can be used, by the trial that the service makes when it starts, and its
// file system. found is nil where the file system is unknown.
func examineDirectory(
	dir string, use filesystem.Use, variable, name, system string,
) (checks []Finding, found *disk) {
	hint := fmt.Sprintf("make it a directory that the service's user may write to, or set %s", variable)
	there, err := nearest(dir)
	if err != nil {
		return []Finding{fault(name, hint, "%s cannot be used: %s", terminal.Plain(dir), err)}, nil
	}
	lacking, err := filesystem.OS.Try(there, use)
	switch {
	case err != nil:
		checks = append(checks, fault(name, hint, "%s", terminal.Plain(err.Error())))
	case there == filepath.Clean(dir):
		checks = append(checks, ok(name, "%s can be written to", terminal.Plain(dir)))
	default:
		checks = append(checks, ok(name, "%s does not exist yet; the service creates it", terminal.Plain(dir)))
	}
	d, err := diskOf(there)
	if err != nil {
		return append(checks, unreadableByUser(system, "check by hand: df -hT "+there, err)), nil
	}
	return append(checks, checkFileSystem(system, d, lacking)), &d
}

// nearest is the directory itself or, where it is missing, its nearest existing parent.
func nearest(dir string) (string, error) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", fmt.Errorf("%s is not a directory", dir)
		case !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir:
			return "", err
		}
		if _, err := os.Lstat(dir); err == nil {
			return "", fmt.Errorf("%s is a link to what does not exist", dir)
		}
	}
}

// disk is the file system that holds a directory.
type disk struct {
	kind  string   // the file system's name; empty: an ordinary one
	trait fileKind // what matters about it
	free  uint64   // bytes that this user may still write
	files uint64   // files that can still be created
	known bool     // whether the file system counts files
}

// fileKind is what matters about a kind of file system.
type fileKind int

const (
	local     fileKind = iota // a disk of this machine, as far as can be detected
	networkFS                 // on another machine
	user                      // served by a program, from anywhere
	volatile                  // in memory
	layer                     // of a container
)

// checkFileSystem judges the kind of a file system, and what a trial found lacking.
func checkFileSystem(name string, d disk, lacking []string) Finding {
	const elsewhere = "keep it on a disk of this machine; in a container, on a volume"
	if len(lacking) > 0 {
		return warning(name, elsewhere, "%s", strings.Join(lacking, "; "))
	}
	switch d.trait {
	case networkFS:
		return warning(name, elsewhere, "%s is a network file system: locks and syncs are often unreliable there, and "+
			"SQLite's write-ahead log does not work across machines", d.kind)
	case user:
		return warning(name, elsewhere,
			"%s: a program serves the file system. If that program uses another machine, locks may be unreliable", d.kind)
	case volatile:
		return warning(name, elsewhere, "%s: its content is lost when the machine loses power", d.kind)
	case layer:
		return warning(name, elsewhere, "%s: the container's own layer is lost with the container", d.kind)
	case local:
	}
	return ok(name, "a local disk")
}

// checkSpace judges the free space. size is the size of one tenant in bytes, or 0 where it is unknown.
func checkSpace(name string, d disk, size int64) Finding {
	const hint = "make room, or move the directory to a larger disk"
	summary := fmt.Sprintf("%s free", byteCount(d.free))
	few := false
	if size > 0 {
		fit := d.free / uint64(size)
		if d.known {
			fit = min(fit, d.files/2) // a directory and a file
		}
		summary += fmt.Sprintf(", %d more tenants without rows", fit)
		if few = fit < leastTenants; fit == 0 {
			return fault(name, hint, "%s: no tenant fits", summary)
		}
	}
	switch {
	case d.free < spareSpaceFatal:
		return fault(name, hint, "%s: practically full", summary)
	case d.free < leastSpace || few:
		return warning(name, hint, "%s", summary)
	}
	return ok(name, "%s", summary)
}

// byteCount formats a number of bytes for people.
func byteCount(n uint64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/(1<<10), 0
	for ; value >= 1<<10; i++ {
		value /= 1 << 10
	}
	return fmt.Sprintf("%.1f %ciB", value, units[i])
}
