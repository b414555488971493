package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// briefRetention is how long a subscriber should be able to be offline, and an operator to look away, without a loss.
const briefRetention = 24 * time.Hour

// examineStreams checks each stream against the contract, how it behaves as it fills, and whether a missing one can be
// created.
func (n *prober) examineStreams(ctx context.Context, s handler.TopologyStatus) (checks []Finding) {
	c := n.c
	for _, stream := range s.Streams {
		prefix := strings.ToLower(strings.TrimPrefix(stream.Name, "TENANT_"))
		if c.Manage && errors.Is(stream.Err, handler.ErrMissing) {
			checks = append(checks, n.examineCreation(ctx, prefix+"_stream", stream.Name))
			continue
		}
		checks = append(checks, checkContract(c, prefix+"_stream", stream.Name, stream.Info != nil, stream.Err,
			"nats stream edit "+stream.Name+" # what cannot be edited (storage, retention): nats stream backup, rm, "+
				"and a new one"))
		switch {
		case stream.Info == nil:
		case stream.Name == events.StreamRequests:
			checks = append(checks, checkRoom(stream))
		default:
			checks = append(checks, checkRetention(prefix+"_retention", stream))
		}
	}
	return checks
}

// checkContract judges the status of a stream or consumer: missing, contradicting the contract, unreadable or correct.
func checkContract(c config.Config, name, what string, there bool, err error, edit string) Finding {
	switch {
	case err == nil:
		return ok(name, "%s matches the contract", what)
	case errors.Is(err, handler.ErrMissing) && c.Manage:
		return warning(name, startCreates, "%s is missing", what)
	case errors.Is(err, handler.ErrMissing):
		return fault(name, "create it, or set NATS_MANAGE_STREAMS=true to have it created", "%s is missing", what)
	case there:
		return fault(name, edit, "%s contradicts the contract, and the service refuses to run: %s", what, err)
	}
	found := unreadable(name, fmt.Errorf("%s: %w", what, err))
	found.Hint = "check that there is a leader, and the user's permissions: nats stream info; nats server report jetstream"
	return found
}

// startCreates is what to do about something missing that the service can create.
const startCreates = "start the service: it creates what is missing"

// examineCreation checks whether the server would refuse to create a missing stream. Each question is asked by itself.
func (n *prober) examineCreation(ctx context.Context, name, stream string) Finding {
	if n.c.Replicas > 1 && n.nc.ConnectedClusterName() == "" {
		return refusedFinding(name, stream, &handler.RefusedError{
			Reason: fmt.Sprintf("NATS_REPLICAS is %d, and the server is in no cluster", n.c.Replicas),
			Remedy: handler.RemedyForReplicas,
		})
	}
	topology := n.c.Topology()
	var refused []*handler.RefusedError
	var unasked, hints []string
	for _, question := range []struct {
		ask            func(context.Context, jetstream.JetStream, string) error
		about, subject string
	}{
		{topology.CheckSubjects, "whether another stream has its subjects", n.apiSubject("STREAM.NAMES")},
		{topology.TryCreate, "whether its settings are within the limits", n.apiSubject("STREAM.CREATE." + stream)},
	} {
		err := n.request(ctx, func(ctx context.Context) error { return question.ask(ctx, n.js, stream) })
		if refusal, ok := errors.AsType[*handler.RefusedError](err); ok {
			refused = append(refused, refusal)
		} else if err != nil {
			unasked = append(unasked, fmt.Sprintf("%s (%s)", question.about, err))
			hints = append(hints, "allow the user to publish on "+question.subject+", to have "+question.about+" checked")
		}
	}
	switch {
	case len(refused) > 0:
		return refusedFinding(name, stream, refused...)
	case len(unasked) > 0:
		return warning(name, startCreates+"\n"+strings.Join(hints, "\n"), "%s is missing; not checked: %s", stream,
			strings.Join(unasked, "; "))
	}
	return warning(name, startCreates, "%s is missing; nothing prevents its creation", stream)
}

// refusedFinding is the finding that something is missing and cannot be created.
func refusedFinding(name, what string, refused ...*handler.RefusedError) Finding {
	var reasons, remedies []string
	for _, r := range refused {
		reasons = append(reasons, r.Reason)
		remedies = append(remedies, r.Remedy)
	}
	return fault(name, strings.Join(remedies, "\n"), "%s is missing, and the service cannot create it: %s", what,
		strings.Join(reasons, "; "))
}

// filling is how full a stream is by the limit that it is nearest to, and that limit as text.
func filling(info *jetstream.StreamInfo) (share float64, summary string) {
	summary = "no limit on size or number"
	for _, limit := range []struct {
		name      string
		used      uint64
		most      int64
		formatted func(uint64) string
	}{
		{"max_bytes", info.State.Bytes, info.Config.MaxBytes, byteCount},
		{"max_msgs", info.State.Msgs, info.Config.MaxMsgs, func(n uint64) string { return fmt.Sprint(n) }},
	} {
		if limit.most <= 0 {
			continue
		}
		if s := float64(limit.used) / float64(limit.most); s >= share {
			share = s
			summary = fmt.Sprintf("%s of %s (%s)", limit.formatted(limit.used), limit.formatted(uint64(limit.most)), limit.name)
		}
	}
	return share, summary
}

// checkRoom checks the stream of requests, which refuses new ones when it is full. Served requests stay in it until
// they reach its maximum age.
func checkRoom(stream handler.StreamStatus) Finding {
	const name = "requests_room"
	share, summary := filling(stream.Info)
	hint := "nats stream edit " + stream.Name + " --max-bytes=-1 --max-msgs=-1 # or larger; served requests stay for " +
		stream.Info.Config.MaxAge.String()
	switch {
	case share >= full:
		return fault(name, hint, "%s: publishers are refused, or will be soon", summary)
	case share >= nearlyFull:
		return warning(name, hint, "%s: publishers are refused once it is full", summary)
	}
	return ok(name, "%s", summary)
}

// checkRetention checks streams that drop the oldest messages when they are full, read or not.
func checkRetention(name string, stream handler.StreamStatus) Finding {
	share, summary := filling(stream.Info)
	age := stream.Info.Config.MaxAge
	hint := "nats stream edit " + stream.Name + " --max-bytes=-1 --max-msgs=-1 --max-age=90d # or larger"
	switch {
	case share >= nearlyFull:
		return warning(name, hint, "%s: once it is full the oldest messages are dropped, read or not", summary)
	case age > 0 && age < briefRetention:
		return warning(name, hint,
			"messages older than %s are dropped: a subscriber that is offline for longer misses them", age)
	case age > 0:
		return ok(name, "%s, kept for %s", summary, age)
	}
	return ok(name, "%s, kept for ever", summary)
}

// checkReplicas checks leaders and replicas of the streams and the consumer.
func checkReplicas(s handler.TopologyStatus, clustered bool) Finding {
	const name = "jetstream_replicas"
	var single, leaderless, behind []string
	add := func(what string, replicas int, cluster *jetstream.ClusterInfo) {
		if cluster == nil || cluster.Name == "" && cluster.Leader == "" { // a single server
			return
		}
		if replicas == 1 && clustered {
			single = append(single, what)
		}
		if cluster.Leader == "" {
			leaderless = append(leaderless, what)
		}
		for _, peer := range cluster.Replicas {
			if peer.Offline || !peer.Current {
				behind = append(behind, what+" on "+terminal.Plain(peer.Name))
			}
		}
	}
	for _, stream := range s.Streams {
		if stream.Info != nil {
			add(stream.Name, stream.Info.Config.Replicas, stream.Info.Cluster)
		}
	}
	if info := s.Consumer.Info; info != nil {
		add(events.DurableConsumer, max(info.Config.Replicas, replicas(s)), info.Cluster)
	}
	switch {
	case len(leaderless) > 0:
		return fault(name, "nats server report jetstream # bring back a majority of the servers",
			"without a leader: %s. Nothing can be stored or taken", strings.Join(leaderless, ", "))
	case len(behind) > 0:
		return warning(name, "nats server report jetstream # bring the servers back, or: nats stream cluster peer-remove",
			"offline or behind: %s. One more loss may stop the service", strings.Join(behind, ", "))
	case len(single) > 0:
		return warning(name, "set NATS_REPLICAS=3, and for each: nats stream edit STREAM --replicas=3",
			"one replica only, in a cluster: %s. The loss of one server stops the service, and may lose what it stored",
			strings.Join(single, ", "))
	case !clustered:
		return ok(name, "a single server")
	}
	return ok(name, "%d of each, all up to date", replicas(s))
}
