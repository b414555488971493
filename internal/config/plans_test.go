package config

import (
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// The example of deploy is valid, and its plans are those of the configuration.
func TestPlansOfDeploy(t *testing.T) {
	t.Parallel()
	c, err := Load(t.Context(), envconfig.MapLookuper(map[string]string{"PLANS": "../../deploy/plans.yaml"}))
	testkit.Must(t, err)
	p := c.Plans()
	testkit.Equal(t, "default", p.Default, "free")
	testkit.Equal(t, "plans", len(p.ByName), 3)
	testkit.Equal(t, "free", p.ByName["free"], pipeline.Plan{
		Name: "free", Limits: events.PlanLimits{MaxBytes: 1 << 30, MaxRows: 100_000},
	})
	testkit.Equal(t, "enterprise", p.ByName["enterprise"], pipeline.Plan{Name: "enterprise"})
	testkit.Equal(t, "its label", p.Labels["enterprise"]["support"], "priority")
}

// Scripts are rehearsed for each plan.
func TestPlansOfScripts(t *testing.T) {
	t.Parallel()
	c, err := Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"PLANS": "../../deploy/plans.yaml", "INIT_SCRIPTS": "../../deploy/init-scripts/orders",
	}))
	testkit.Must(t, err)
	testkit.Equal(t, "plans", strings.Join(c.Scripts().Plans, " "), "enterprise free team")
}

func TestWithoutPlans(t *testing.T) {
	t.Parallel()
	c, err := Load(t.Context(), envconfig.MapLookuper(nil))
	testkit.Must(t, err)
	if c.Plans() != nil {
		t.Errorf("%+v", c.Plans())
	}
}

// A missing file is one fault, not two.
func TestMissingFileOfPlans(t *testing.T) {
	t.Parallel()
	_, err := Load(t.Context(), envconfig.MapLookuper(map[string]string{"PLANS": "/nowhere/plans.yaml"}))
	if err == nil || strings.Count(err.Error(), "PLANS: ") != 1 {
		t.Error(err)
	}
}
