package config

import (
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/plans"
)

// Plans returns the plans of PLANS as [Load] read them; nil: it is not set.
func (c *Config) Plans() *pipeline.Plans { return c.plans }

// readPlans reads the file of plans, and returns its faults.
func (c *Config) readPlans() (err error) {
	if c.PlansFile == "" {
		return nil
	}
	c.plans, err = plans.Read(c.PlansFile)
	return prefixed("PLANS", split(err))
}

// split returns the errors that were joined; of any other error, that one; nil: no error.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
