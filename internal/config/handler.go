package config

import (
	"math/rand/v2"

	"example.com/tenant-provisioner/internal/handler"
)

// Topology returns what the configuration requires of JetStream.
func (c *Config) Topology() handler.Topology {
	return handler.Topology{Replicas: c.Replicas, Manage: c.Manage, AckWait: c.AckWait}
}

// Backoff returns the delay between attempts, and between retries while a server is unavailable.
func (c *Config) Backoff() handler.Backoff {
	return handler.Backoff{Min: c.BackoffMin, Max: c.BackoffMax, Random: rand.Float64}
}
