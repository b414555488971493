package events

import "embed"

// Schemas holds the JSON Schemas (2020-12) of the events in structured mode, as
// schemas/<type>.schema.json; the data alone is under #/$defs/data. Formats are annotations: turn format
// assertion on to check date-time and uri-reference.
//
//go:embed schemas/*.json
var Schemas embed.FS

// Examples holds one event in structured mode a file, as examples/<name>.json.
//
//go:embed examples/*.json
var Examples embed.FS
