package handler

import (
	"hash/maphash"
	"sync"
)

// seenOutcomes remembers outcomes that this process has seen in their stream, and their sequences, so that an outcome
// that is published again is not read there again. Of two outcomes with the same place the later one is remembered.
//
// A stream that is deleted and created again gives its sequences to other messages, and has forgotten the ids of the
// former ones.
type seenOutcomes struct {
	mutex  sync.Mutex
	seed   maphash.Seed
	places [1024]struct{ body, sequence uint64 }
}

func newSeenOutcomes() *seenOutcomes { return &seenOutcomes{seed: maphash.MakeSeed()} }

func (s *seenOutcomes) add(body []byte, sequence uint64) {
	hash := maphash.Bytes(s.seed, body)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	place := &s.places[hash%uint64(len(s.places))]
	place.body, place.sequence = hash, sequence
}

// has reports whether the process has seen the outcome with this body at that sequence.
func (s *seenOutcomes) has(body []byte, sequence uint64) bool {
	hash := maphash.Bytes(s.seed, body)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	place := s.places[hash%uint64(len(s.places))]
	return place.body == hash && place.sequence == sequence
}
