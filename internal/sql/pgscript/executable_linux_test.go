package pgscript

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// denied makes this test binary a process that may not have executable memory, as under MemoryDenyWriteExecute=yes.
const denied = "PGSCRIPT_WITHOUT_EXECUTABLE_MEMORY"

// Where the grammar cannot run, each statement is refused with the setting to change, whether it has a fault or not.
func TestWithoutExecutableMemory(t *testing.T) {
	t.Parallel()
	if os.Getenv(denied) != "" {
		testkit.Must(t, unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		_, faults := Parse(pipeline.Script{Name: "010_a.sql", Text: "SELECT 1;\nDO $$ BEGIN x := 1; END $$;\n"})
		testkit.Contains(t, "error", errors.Join(faults...).Error(), "010_a.sql, line 1: ", "010_a.sql, line 2: ", "MemoryDenyWriteExecute=no")
		return
	}
	if _, err := unix.PrctlRetInt(unix.PR_GET_MDWE, 0, 0, 0, 0); errors.Is(err, unix.EINVAL) {
		t.Skip("Linux before 6.3 cannot deny executable memory to a process")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutExecutableMemory$")
	cmd.Env = append(os.Environ(), denied+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
