package events

import "embed"

// Schemas has the JSON Schemas (2020-12) of the events in structured mode, as schemas/<type>.schema.json. The schema of
// the data alone is #/$defs/data. Formats are annotations: enable format assertion to check date-time and
// uri-reference.
//
//go:embed schemas/*.json
var Schemas embed.FS

// Examples has example events in structured mode, one per file, as examples/<name>.json.
//
//go:embed examples/*.json
var Examples embed.FS
