package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/handler"
)

// Shares of a limit at which a check warns, or reports a fault.
const (
	nearlyFull = 0.8
	full       = 0.95
)

// examineAccount reads the account's limits. Without info the finding says why they could not be read. usable reports
// whether streams can exist.
func (n *prober) examineAccount(ctx context.Context) (info *jetstream.AccountInfo, _ Finding, usable bool) {
	const name = "jetstream"
	err := n.request(ctx, func(ctx context.Context) (err error) {
		info, err = n.js.AccountInfo(ctx)
		return err
	})
	switch {
	case err == nil:
		return info, Finding{}, true
	case errors.Is(err, nats.ErrPermissionViolation):
		return nil, unreadableByUser(name,
			"allow the user to publish on "+n.apiSubject("INFO")+", to have the account's limits checked", err), true
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return nil, fault(name, "jetstream: enabled # in the account's configuration, or choose another account",
			"JetStream is not enabled for this account"), false
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return nil, fault(name, "jetstream { store_dir: … } # in the server's configuration, or start it with -js",
			"JetStream is not enabled"), false
	}
	found := unreadable(name, err)
	found.Hint = "nats server report jetstream # as the system account; check that there is a leader"
	return nil, found, false
}

// toCreate is how many streams the service would create.
func (n *prober) toCreate(s handler.TopologyStatus) (missing int) {
	for _, stream := range s.Streams {
		if n.c.Manage && errors.Is(stream.Err, handler.ErrMissing) {
			missing++
		}
	}
	return missing
}

// tierOf returns the limits and the usage that hold for streams with so many replicas.
func tierOf(info *jetstream.AccountInfo, replicas int) (tier jetstream.Tier, found bool) {
	if len(info.Tiers) == 0 {
		return info.Tier, true
	}
	tier, found = info.Tiers[fmt.Sprintf("R%d", replicas)]
	return tier, found
}

// consumersOf is the account's limit on the consumers of a stream; 0: unlimited, or unknown.
func consumersOf(info *jetstream.AccountInfo, replicas int) int {
	if info == nil {
		return 0
	}
	tier, _ := tierOf(info, replicas)
	return max(tier.Limits.MaxConsumers, 0)
}

// checkAccount checks the limits of the account, also for the streams that the service is to create.
func checkAccount(info *jetstream.AccountInfo, replicas, toCreate int) Finding {
	const name = "jetstream"
	tier, found := tierOf(info, replicas)
	limits := tier.Limits
	switch {
	case toCreate == 0:
	case !found:
		return fault(name, "set NATS_REPLICAS to a number for which the account has limits",
			"the account has limits for %s, and none for NATS_REPLICAS=%d: streams cannot be created",
			strings.Join(slices.Sorted(maps.Keys(info.Tiers)), ", "), replicas)
	case limits.MaxStreams > 0 && tier.Streams+toCreate > limits.MaxStreams:
		return fault(name, "raise the account's max_streams, or remove streams: nats stream ls",
			"the account has %d of at most %d streams (max_streams), and %d are to be created", tier.Streams,
			limits.MaxStreams, toCreate)
	case limits.MaxStore == 0:
		return fault(name, "raise the account's max_file", "the account may store nothing in files (max_file is 0)")
	}
	return checkStored(info)
}

// checkStored checks how much of the account's storage is left.
func checkStored(info *jetstream.AccountInfo) Finding {
	const name = "jetstream"
	tiers := info.Tiers
	if len(tiers) == 0 {
		tiers = map[string]jetstream.Tier{"": info.Tier}
	}
	worst, summary := 0.0, "no limit on what the account stores"
	for tier, t := range tiers {
		if t.Limits.MaxStore <= 0 {
			continue
		}
		limit := uint64(t.Limits.MaxStore)
		used := max(t.Store, t.ReservedStore)
		if share := float64(used) / float64(limit); share >= worst {
			worst = share
			summary = strings.TrimSpace(fmt.Sprintf("the account stores or reserves %s of %s %s",
				byteCount(used), byteCount(limit), tier))
		}
	}
	const hint = "raise the account's max_file, or store less: limits of other streams, nats stream purge"
	switch {
	case worst >= full:
		return fault(name, hint, "%s: publishers and this program are refused, or will be soon", summary)
	case worst >= nearlyFull:
		return warning(name, hint, "%s", summary)
	}
	return ok(name, "%s", summary)
}
