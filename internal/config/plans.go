package config

import (
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/plans"
)

// Plans returns the plans of PLANS as [Load] read them; nil: it is not set.
func (c *Config) Plans() *pipeline.Plans { return c.plans }

// readPlans reads the file of plans, and returns its faults.
func (c *Config) readPlans() error {
	if c.PlansFile == "" {
		return nil
	}
	var faults []error
	c.plans, faults = plans.Read(c.PlansFile)
	return prefixed("PLANS", faults)
}
