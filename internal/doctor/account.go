package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Shares of a limit at which a check warns, or reports a fault.
const (
	nearlyFull = 0.8
	full       = 0.95
)

// examineAccount checks that JetStream is enabled and how much of the account's storage is left. usable reports whether
// streams can exist.
func (n *prober) examineAccount(ctx context.Context) (_ Finding, usable bool) {
	const name = "jetstream"
	var info *jetstream.AccountInfo
	err := n.request(ctx, func(ctx context.Context) (err error) {
		info, err = n.js.AccountInfo(ctx)
		return err
	})
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		return unreadableByUser(name,
			"allow the user to publish on $JS.API.INFO, to have the account's limits checked", err), true
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fault(name, "jetstream: enabled # in the account's configuration, or choose another account",
			"JetStream is not enabled for this account"), false
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fault(name, "jetstream { store_dir: … } # in the server's configuration, or start it with -js",
			"JetStream is not enabled"), false
	case err != nil:
		found := unreadable(name, err)
		found.Hint = "nats server report jetstream # as the system account; check that there is a leader"
		return found, false
	}
	return checkAccount(info), true
}

func checkAccount(info *jetstream.AccountInfo) Finding {
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
