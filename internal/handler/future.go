package handler

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// clockTolerance is by how much clocks of several servers may differ without any effect here: it only delays
// redelivery.
const clockTolerance = 30 * time.Second

// FutureTime is a time in the state of a stream or consumer that lies in the future of its server: a clock was ahead
// when it was stored. A server redelivers a message when its clock is AckWait after the delivery. If it has delivered
// messages while its clock was ahead, it withholds them until the corrected clock has caught up. (nats-server 2.15.2,
// consumer.go, checkPending) The times of deliveries themselves are not visible.
type FutureTime struct {
	What string
	At   time.Time
}

func (f FutureTime) String() string {
	return fmt.Sprintf("%s is of %s, which the server's clock has not reached", f.What, f.At.Format(time.RFC3339))
}

// FutureTimes returns all times of the future that streams and consumer show.
func (s TopologyStatus) FutureTimes() (all []FutureTime) {
	add := func(what string, at, now time.Time) {
		if !now.IsZero() && at.Sub(now) > clockTolerance {
			all = append(all, FutureTime{what, at})
		}
	}
	for _, stream := range s.Streams {
		if info := stream.Info; info != nil { // the times of one server: those of a cluster may have different clocks
			add("the stream "+stream.Name, info.Created, info.TimeStamp)
			add("the last message of "+stream.Name, info.State.LastTime, info.TimeStamp)
			if stream.Name == events.StreamRequests {
				add("the oldest request in flight", s.Consumer.Oldest, info.TimeStamp)
			}
		}
	}
	if info := s.Consumer.Info; info != nil {
		add("the consumer "+events.DurableConsumer, info.Created, info.TimeStamp)
		if last := info.Delivered.Last; last != nil {
			add("the last delivery", *last, info.TimeStamp)
		}
		if last := info.AckFloor.Last; last != nil {
			add("the last acknowledgement", *last, info.TimeStamp)
		}
	}
	return all
}

// Withholding returns the latest time of the future that may have the server withhold requests in flight. It finds no
// such time if nothing is in flight, or if the consumer was recreated because of that time.
func (s TopologyStatus) Withholding() (latest FutureTime, found bool) {
	info := s.Consumer.Info
	if info == nil || info.NumAckPending == 0 {
		return latest, false
	}
	latest = s.latest()
	return latest, latest.At.After(handledTime(info.Config))
}

// latest returns the latest time of the future, or the zero value if no time is in the future.
func (s TopologyStatus) latest() (latest FutureTime) {
	for _, f := range s.FutureTimes() {
		if f.At.After(latest.At) {
			latest = f
		}
	}
	return latest
}

// addOldest adds when the stream stored the oldest request in flight.
func (s *ConsumerStatus) addOldest(ctx context.Context, js jetstream.JetStream) (err error) {
	if s.Info != nil && s.Info.NumAckPending > 0 {
		s.Oldest, err = readOldest(ctx, js, s.Info)
	}
	return err
}
