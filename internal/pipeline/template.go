package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/events"
)

// Template is a text with placeholders for the values of a request. A value is inserted as it is: what looks like a
// placeholder in it stays.
type Template []Part

// Part is constant text, or a placeholder.
type Part struct {
	Constant string // if Name is empty
	Name     string // of the placeholder: one of placeholderNames, or uuid
	Label    string // of a uuid
	InJSON   bool   // the value is inserted into a JSON string
}

// placeholderNames are the placeholders without a label.
var placeholderNames = []string{"tenant_id", "display_name", "created_by", "now"}

// uuidName is the placeholder with a label.
const uuidName = "uuid"

// seedNamespace is the UUIDv5 namespace of ${uuid:LABEL}: 79239847-3b77-512c-9156-4b8963d569af. It must never change: a
// replay gets the same ids, and applications compute them too (docs/seed-data.md).
var seedNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("tenant-provisioner/seed"))

// SeedUUID is the value of ${uuid:LABEL}: a UUIDv5 of tenant id, newline, label. Neither contains a newline.
func SeedUUID(tenantID, label string) string {
	return uuid.NewSHA1(seedNamespace, []byte(tenantID+"\n"+label)).String()
}

// Expand returns the text of the part for a request.
func (p Part) Expand(v Values) string {
	text := p.Constant
	switch p.Name {
	case "":
		return text
	case "tenant_id":
		text = v.TenantID
	case "display_name":
		text = v.DisplayName
	case "created_by":
		text = v.CreatedBy
	case "now":
		text = v.Now.UTC().Format(time.DateTime + ".000000")
	case uuidName:
		text = SeedUUID(v.TenantID, p.Label)
	}
	if p.InJSON {
		return insideQuotes(text)
	}
	return text
}

// Expand returns the text for a request.
func (t Template) Expand(v Values) string {
	if len(t) == 1 {
		return t[0].Expand(v)
	}
	var b strings.Builder
	for _, part := range t {
		b.WriteString(part.Expand(v))
	}
	return b.String()
}

// IsConstant reports whether the text is the same for all requests.
func (t Template) IsConstant() bool {
	return !slices.ContainsFunc(t, func(p Part) bool { return p.Name != "" })
}

var labelForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// ParseTemplate reads the placeholders of a text. $${ is a plain ${. The error is a phrase whose subject is the text.
func ParseTemplate(text string) (Template, error) {
	var t TemplateBuilder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			t.Constant(text)
			return t.Template(), nil
		}
		if at > 0 && text[at-1] == '$' {
			t.Constant(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		t.Constant(text[:at])
		name, rest, closed := strings.Cut(text[at+2:], "}")
		if !closed {
			return nil, fmt.Errorf("has %s without a }; write $${ for a plain ${", events.Quote(text[at:]))
		}
		part, err := parsePlaceholder(name)
		if err != nil {
			return nil, err
		}
		t.Add(part)
		text = rest
	}
}

// parsePlaceholder reads what is between the braces.
func parsePlaceholder(text string) (Part, error) {
	name, label, labelled := strings.Cut(text, ":")
	switch {
	case name == uuidName && labelled && labelForm.MatchString(label):
		return Part{Name: name, Label: label}, nil
	case name == uuidName:
		return Part{}, fmt.Errorf("has the placeholder %s; write ${uuid:LABEL}, with a label of 1 to 100 of "+
			"A–Z a–z 0–9 _ . -", events.Quote("${"+text+"}"))
	case !labelled && slices.Contains(placeholderNames, name):
		return Part{Name: name}, nil
	}
	return Part{}, fmt.Errorf("has the unknown placeholder %s; write ${%s} or ${uuid:LABEL}, or $${ for a plain ${",
		events.Quote("${"+text+"}"), strings.Join(placeholderNames, "}, ${"))
}

// Errors about texts that a database cannot store.
var (
	errNUL       = errors.New("holds a NUL, which no text column can store; remove it")
	errSurrogate = errors.New(`has half of a surrogate pair (\ud800 to \udfff), which is not a character; write the ` +
		"whole pair, or the character itself")
)

// TemplateBuilder joins constants and placeholders, with as few parts as possible. The zero value is empty.
type TemplateBuilder struct {
	done     Template
	constant strings.Builder
}

// Constant appends constant text.
func (b *TemplateBuilder) Constant(text string) { b.constant.WriteString(text) }

// Add appends a part.
func (b *TemplateBuilder) Add(p Part) {
	if p.Name == "" {
		b.Constant(p.Constant)
		return
	}
	b.done = append(b.Template(), p)
}

// Template returns what was appended.
func (b *TemplateBuilder) Template() Template {
	if b.constant.Len() > 0 {
		b.done = append(b.done, Part{Constant: b.constant.String()})
		b.constant.Reset()
	}
	return b.done
}
