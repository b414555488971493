package docextest_test

import (
	"os"
	"testing"

	"example.com/tenant-provisioner/internal/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Run(m)) }
