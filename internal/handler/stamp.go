package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// StampMetadata is the key in the metadata of the three streams whose value is the id of the registry that they belong
// to. The same id is in the registry. A database with another id must not serve their requests: it is another
// service's, or a lost registry was created again.
const StampMetadata = "tenant-provisioner.registry"

// StreamStamps are the registries that the existing streams belong to.
type StreamStamps struct {
	ID        string   // of the registry; empty: no stream has an id
	Unstamped []string // the streams that exist and have no id
}

// None reports whether no stream exists.
func (s StreamStamps) None() bool { return s.ID == "" && len(s.Unstamped) == 0 }

// ReadStamps reads the stamps of the streams that exist. Its error names the streams if they belong to different
// registries.
func ReadStamps(ctx context.Context, js jetstream.JetStream) (found StreamStamps, err error) {
	var existing []jetstream.StreamConfig
	for _, want := range (Topology{}).streams() {
		stream, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return found, fmt.Errorf("stream %s: %w", want.Name, ExplainAPIPermission(js, err))
		}
		existing = append(existing, stream.CachedInfo().Config)
	}
	return stampsOf(existing)
}

// stampsOf returns the stamps of the streams, or an error that names two that belong to different registries.
func stampsOf(streams []jetstream.StreamConfig) (found StreamStamps, err error) {
	stamped := ""
	for _, stream := range streams {
		id := stream.Metadata[StampMetadata]
		switch {
		case id == "":
			found.Unstamped = append(found.Unstamped, stream.Name)
		case found.ID == "":
			found.ID, stamped = id, stream.Name
		case found.ID != id:
			return found, fmt.Errorf("stream %s belongs to the registry %s, and stream %s to the registry %s: one of them is "+
				"from another installation, or was restored from one; restore the right one, or give it the other's id: "+
				"nats stream edit %s --metadata=%s=ID", stamped, found.ID, stream.Name, id, stream.Name, StampMetadata)
		}
	}
	return found, nil
}

// WriteStamps gives the streams that exist the registry's id. All other settings stay, those of later servers too.
func WriteStamps(ctx context.Context, js jetstream.JetStream, registryID string) error {
	for _, want := range (Topology{}).streams() {
		err := writeStamp(ctx, js, want.Name, registryID)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("stream %s: %w", want.Name, ExplainAPIPermission(js, err))
		}
	}
	return nil
}

// ErrNoMetadata means that the server keeps no metadata: it is older than 2.10.
var ErrNoMetadata = errors.New("the server keeps no metadata of streams")

func writeStamp(ctx context.Context, js jetstream.JetStream, stream, registryID string) error {
	config, metadata, err := rawStream(ctx, js, "STREAM.INFO."+stream, nil)
	if err != nil || metadata[StampMetadata] == registryID {
		return err
	}
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[StampMetadata] = registryID
	if config["metadata"], err = json.Marshal(metadata); err != nil {
		return err
	}
	request, err := json.Marshal(config)
	if err != nil {
		return err
	}
	_, metadata, err = rawStream(ctx, js, "STREAM.UPDATE."+stream, request)
	if err == nil && metadata[StampMetadata] != registryID {
		err = ErrNoMetadata
	}
	return err
}

// rawStream sends a request to the API that is answered with a stream's settings. It returns them with those that the
// client library does not decode.
func rawStream(
	ctx context.Context, js jetstream.JetStream, api string, request []byte,
) (config map[string]json.RawMessage, metadata map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	answer, err := js.Conn().RequestWithContext(ctx, APISubject(js, api), request)
	if err != nil {
		return nil, nil, err
	}
	var response struct {
		Error  *jetstream.APIError        `json:"error"`
		Config map[string]json.RawMessage `json:"config"`
	}
	switch err := json.Unmarshal(answer.Data, &response); {
	case err != nil:
		return nil, nil, err
	case response.Error != nil && response.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return nil, nil, jetstream.ErrStreamNotFound
	case response.Error != nil:
		return nil, nil, response.Error
	case response.Config == nil:
		return nil, nil, jetstream.ErrInvalidJetStreamResponse
	}
	if raw := response.Config["metadata"]; raw != nil {
		err = json.Unmarshal(raw, &metadata)
	}
	return response.Config, metadata, err
}

// OtherRegistryError means that a stream belongs to another registry than the database's.
type OtherRegistryError struct{ Streams, Database string }

func (e *OtherRegistryError) Error() string {
	return fmt.Sprintf("the streams belong to the registry %s, and the database has the registry %s. Correct "+
		"DATABASE_URL or NATS_URL if one of them names another installation. If the database was restored or made "+
		"again, and the streams are right: consumer reconcile --accept-streams. If the streams were, and the database is "+
		"right: consumer reconcile --accept-database", e.Streams, e.Database)
}

// checkStamp returns an *[OtherRegistryError] if the stream belongs to another registry.
func (t Topology) checkStamp(got jetstream.StreamConfig) error {
	if id := got.Metadata[StampMetadata]; t.Registry != "" && id != "" && id != t.Registry {
		return &OtherRegistryError{id, t.Registry}
	}
	return nil
}

// StampCommands are the commands with which an administrator gives the streams the registry's id.
func StampCommands(registryID string) string {
	var lines []string
	for _, stream := range (Topology{}).streams() {
		lines = append(lines, fmt.Sprintf("nats stream edit %s --metadata=%s=%s", stream.Name, StampMetadata, registryID))
	}
	return strings.Join(lines, "\n")
}
