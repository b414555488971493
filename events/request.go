package events

import (
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// Limits of a request's fields, in characters.
const (
	MaxTenantID    = 255
	MaxDisplayName = 255
	MaxCreatedBy   = 255
)

var (
	tenantID   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	reservedID = regexp.MustCompile(`^(_docex_.*_|docex_first_tenant)$`)
	docexID    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,29}$`)
)

// RequestError is a rule that a request breaks. It is permanent: the same request fails again.
type RequestError struct {
	Code    CauseCode
	Field   string // the data field or CloudEvents attribute that is wrong
	Message string // what is wrong and what is allowed
}

func (e *RequestError) Error() string { return e.Field + ": " + e.Message }

func invalid(field, format string, args ...any) *RequestError {
	return &RequestError{Code: CauseInvalidRequest, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ValidateTenantID checks whether id is a valid tenant id. The error is a *[RequestError] with CauseInvalidTenantID or
// CauseReservedTenantID.
func ValidateTenantID(id string) error {
	switch {
	case !tenantID.MatchString(id):
		return &RequestError{
			Code: CauseInvalidTenantID, Field: "tenant_id",
			Message: fmt.Sprintf("%s is not 1 to %d of A–Z a–z 0–9 _ -", Quote(id), MaxTenantID),
		}
	case reservedID.MatchString(id):
		return &RequestError{
			Code: CauseReservedTenantID, Field: "tenant_id",
			Message: fmt.Sprintf("%q is reserved: _docex_…_ and docex_first_tenant belong to DocEX; choose another", id),
		}
	}
	return nil
}

// DocEXCompatible reports whether DocEX's own create() takes the id: 1 to 30 of A–Z a–z 0–9 _, the first not a digit.
// DocEX also opens most tenants with other ids.
func DocEXCompatible(id string) bool { return docexID.MatchString(id) }

// Validate checks all rules that need no database. The error is a *[RequestError]. Publishers can call it before they
// publish; the service calls it as step 0. Whether the isolation strategy is supported depends on the service's
// database, and which plans exist on its PLANS.
func (r Requested) Validate() error {
	if err := ValidateTenantID(r.TenantID); err != nil {
		return err
	}
	if err := text("display_name", r.DisplayName, MaxDisplayName); err != nil {
		return err
	}
	return text("created_by", r.CreatedBy, MaxCreatedBy)
}

func text(field, s string, limit int) error {
	if !utf8.ValidString(s) {
		return invalid(field, "is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(s); n < 1 || n > limit {
		return invalid(field, "has %d characters; 1 to %d are allowed", n, limit)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return invalid(field, "holds the control character %U; remove it", r)
		}
	}
	return nil
}
