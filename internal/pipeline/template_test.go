package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/internal/testkit"
)

// hostile has what every format could misread, and placeholders that are never replaced a second time.
var hostile = Values{
	TenantID: "acme", DisplayName: "a\"b\\c\nd\t'\u2028 <&> ${tenant_id} $${x} \U0001f600", CreatedBy: "${now}",
	Now: time.Date(2026, 1, 2, 4, 4, 5, 6000, time.FixedZone("", 3600)),
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	inbox := SeedUUID("acme", "inbox")
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$": "$", "$$": "$$", "$x": "$x", "a$": "a$", "{tenant_id}": "{tenant_id}", "$ {x}": "$ {x}",
		"${tenant_id}": "acme", "<${tenant_id}>": "<acme>", "${tenant_id}${created_by}": "acme${now}",
		"${display_name}": hostile.DisplayName, "at ${now}": "at 2026-01-02 03:04:05.000006", "${uuid:inbox}": inbox,
		"$${": "${", "$${tenant_id}": "${tenant_id}", "$$${tenant_id}": "$${tenant_id}", "$${$${": "${${",
		"$${a} ${tenant_id} $${": "${a} acme ${", "}${tenant_id}}": "}acme}", "${uuid:a.b-c_9}": SeedUUID("acme", "a.b-c_9"),
	} {
		template, err := ParseTemplate(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		testkit.Equal(t, text, template.Expand(hostile), want)
	}
	for text, want := range map[string]string{
		"${": `has "${" without a }`, "a ${tenant_id": `has "${tenant_id" without a }`,
		"${}":     `has the unknown placeholder "${}"; write ${tenant_id}, ${display_name}, ${created_by}, ${now} or ${uuid:LABEL}`,
		"${plan}": `unknown placeholder "${plan}"`, "${Tenant_id}": "unknown", "${ tenant_id }": "unknown",
		"${tenant_id:x}": "unknown", "${now:}": "unknown", "${UUID:x}": "unknown", "$${ok} ${no}": `"${no}"`,
		"${${tenant_id}}": `"${${tenant_id}"`, "${uuid}": "write ${uuid:LABEL}, with a label of 1 to 100 of",
		"${uuid:}": "with a label", "${uuid:a b}": "with a label", "${uuid:é}": "with a label", "${uuid:a\nb}": "with a label",
		"${uuid:" + strings.Repeat("l", 101) + "}": "with a label",
	} {
		if template, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, template, err, want)
		}
	}
}

// The ids never change: applications may compute them. The expected ones are those of the formula in docs/seed-data.md.
func TestSeedUUID(t *testing.T) {
	t.Parallel()
	namespace := uuid.MustParse("79239847-3b77-512c-9156-4b8963d569af")
	testkit.Equal(t, "inbox", SeedUUID("acme", "inbox"), uuid.NewSHA1(namespace, []byte("acme\ninbox")).String())
	if SeedUUID("acme", "inbox") == SeedUUID("acme", "archive") || SeedUUID("a", "inbox") == SeedUUID("b", "inbox") {
		t.Error("equal ids")
	}
}

// A value becomes a part of the string, and the JSON stays as it is written otherwise.
func TestPlaceholdersInJSON(t *testing.T) {
	t.Parallel()
	inJSON := insideQuotes(hostile.DisplayName)
	for text, want := range map[string]string{
		`"${tenant_id}"`: `"acme"`, `"${display_name}!"`: `"` + inJSON + `!"`, `null`: `null`, ` [ 1.50 , 1e400, -0 ] `: ` [ 1.50 , 1e400, -0 ] `,
		`{"b": {"a": ["x", "${tenant_id}", {"c": "${created_by}"}]}, "a" :"${display_name}"}`: `{"b": {"a": ["x", "acme", {"c": "${now}"}]}, "a" :"` + inJSON + `"}`,
		`"\u0024{tenant_id}"`: `"acme"`, `"$${tenant_id} <b> \u00e9"`: `"${tenant_id} <b> é"`, `"\u003cb\u003e $"`: `"\u003cb\u003e $"`,
		`12345678901234567890.12345678901234567890`: `12345678901234567890.12345678901234567890`,
		`"\ud83d\ude00 ${tenant_id}"`:               `"😀 acme"`, `"\ufffd"`: `"\ufffd"`, `"\\ud800 �"`: `"\\ud800 �"`, `{"a:b,": ":,"}`: `{"a:b,": ":,"}`,
	} {
		template, err := JSONTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		testkit.Equal(t, text, template.Expand(hostile), want)
	}
	for text, want := range map[string]string{
		``: "is not JSON: unexpected end of JSON input (byte 0)", `{`: "is not JSON", `1 2`: "is not JSON: invalid character '2' after top-level value (byte 3)",
		`{"a":1,}`: "is not JSON", `{"a":1} x`: "is not JSON", `[01]`: "is not JSON", `${tenant_id}`: "is not JSON", "\"a\nb\"": "is not JSON",
		`{"a": 1, "b": {"c": 1, "c": 2}}`: `has the key "c" twice; remove one`, `{"a":1,"\u0061":2}`: `has the key "a" twice`,
		`{"${tenant_id}": 1}`: `has the key "${tenant_id}"; placeholders are replaced in values, not in keys`, `["${plan}"]`: `unknown placeholder "${plan}"`,
		`"\u0000"`: "holds a NUL", `{"\u0000": 1}`: "which holds a NUL", `["\ud800"]`: "half of a surrogate pair", `"\udc00\ud800"`: "half of a surrogate pair",
		`"\\\ud800"`: "half of a surrogate pair", `"\ud83d\ude00\ude00"`: "half of a surrogate pair",
		strings.Repeat("[", 102) + strings.Repeat("]", 102): "is nested more than 100 levels deep",
	} {
		if template, err := JSONTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", text, template, err, want)
		}
	}
}

// What a value means depends on its notation, and on whether the column is JSON.
func TestSeedValueTemplate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value        SeedValue
		text, inJSON string // empty: an error
	}{
		{SeedValue{SeedJSON, `"a\n${tenant_id}"`}, "a\nacme", `"a\nacme"`},
		{SeedValue{SeedJSON, `1.50`}, "1.50", "1.50"},
		{SeedValue{SeedJSON, `true`}, "true", "true"},
		{SeedValue{SeedJSON, `{"a": ["${tenant_id}"]}`}, `{"a": ["acme"]}`, `{"a": ["acme"]}`},
		{SeedValue{SeedText, `{"a": "${tenant_id}\u0041"}`}, `{"a": "acme\u0041"}`, `{"a": "acmeA"}`},
		{SeedValue{SeedText, `${tenant_id}`}, `acme`, ""},
		{SeedValue{SeedText, `plain`}, `plain`, ""},
		{SeedValue{SeedText, `"\u0024{tenant_id}"`}, `"\u0024{tenant_id}"`, `"acme"`},
	} {
		for column, want := range map[bool]string{false: c.text, true: c.inJSON} {
			template, err := c.value.Template(column)
			if (err != nil) != (want == "") || err == nil && template.Expand(hostile) != want {
				t.Errorf("%+v in a JSON column %v: %q, %v, want %q", c.value, column, template.Expand(hostile), err, want)
			}
		}
	}
}

func TestFingerprintOfSeeds(t *testing.T) {
	t.Parallel()
	one := Seeds{Files: []SeedFile{{Name: "a.csv", SHA256: "1"}, {Name: "b.csv", SHA256: "2"}}}
	renamed := Seeds{Files: []SeedFile{{Name: "a.csv", SHA256: "1"}, {Name: "c.csv", SHA256: "2"}}}
	changed := Seeds{Files: []SeedFile{{Name: "a.csv", SHA256: "1"}, {Name: "b.csv", SHA256: "3"}}}
	if one.Fingerprint() == renamed.Fingerprint() || one.Fingerprint() == changed.Fingerprint() || len(one.Fingerprint()) != 64 {
		t.Error("equal fingerprints")
	}
}

// Placeholders never break JSON, and change nothing but themselves.
func FuzzJSONTemplate(f *testing.F) {
	for _, text := range []string{
		`{"a": ["${tenant_id}", 1.50, null], "b": {"c": "$${x}"}}`, `"\ud83d\ude00"`, `"\ud800"`, `[[]]`, `{"a":1,"a":2}`, ` 1 `,
	} {
		f.Add(text, "A \"name\" \\ ${now}")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		name = strings.ToValidUTF8(name, "?")
		template, err := JSONTemplate(text)
		if err != nil {
			return
		}
		got := template.Expand(Values{TenantID: "acme", DisplayName: name})
		if !json.Valid([]byte(got)) {
			t.Fatalf("%s becomes %s", text, got)
		}
		if !strings.Contains(text, "$") && !strings.Contains(text, `\`) && got != text {
			t.Fatalf("%s becomes %s", text, got)
		}
		var decoded string
		if template, err := JSONTemplate(`"${display_name}"`); err != nil || json.Unmarshal([]byte(template.Expand(Values{DisplayName: name})), &decoded) != nil || decoded != name {
			t.Fatalf("%q becomes %q", name, decoded)
		}
	})
}

// A text is made of its constants and placeholders, and escaping it makes it constant.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"${tenant_id}", "$${", "$$${now}", "a ${uuid:x} b", "${", "}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		escaped, err := ParseTemplate(strings.ReplaceAll(text, "${", "$${"))
		if err != nil || !escaped.IsConstant() || escaped.Expand(hostile) != text {
			t.Fatalf("%q: %q, %v", text, escaped.Expand(hostile), err)
		}
		template, err := ParseTemplate(text)
		if err != nil && !strings.Contains(text, "${") {
			t.Fatalf("%q: %v", text, err)
		}
		for _, part := range template {
			if (part.Name == "") == (part.Constant == "") {
				t.Fatalf("%q: %+v", text, part)
			}
		}
	})
}
