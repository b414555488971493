package sqlite

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// lockings are the locks of this system, and those of other systems that work here too.
func lockings() map[string]locking {
	all := map[string]locking{"this system": {lock, isLocked}}
	maps.Copy(all, otherLockings)
	return all
}

type locking struct {
	lock     func(*os.File) error
	isLocked func(*os.File) (bool, error)
}

// A file is locked as long as its creator lives, also for other workers of the same process. Testing for the lock
// neither takes it nor keeps others from taking it.
func TestLockTellsTheLivingFromTheDead(t *testing.T) {
	t.Parallel()
	for name, l := range lockings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), buildingPrefix+"x")
			open := func() *os.File {
				f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = f.Close() })
				return f
			}
			expect := func(f *os.File, want bool, when string) {
				t.Helper()
				if got, err := l.isLocked(f); err != nil || got != want {
					t.Errorf("%s: %v, %v", when, got, err)
				}
			}
			maker, one, other := open(), open(), open()
			expect(one, false, "before it is locked")
			expect(other, false, "while another asks too")
			if err := l.lock(maker); err != nil { // the testers have not closed the file yet
				t.Fatal(err)
			}
			expect(one, true, "while it is locked")
			expect(other, true, "while it is locked, once more")
			if content, err := os.ReadFile(path); err != nil || len(content) != 0 {
				t.Errorf("it cannot be read: %v", err)
			}
			if err := maker.Close(); err != nil {
				t.Fatal(err)
			}
			expect(one, false, "after its maker has ended")
		})
	}
}
