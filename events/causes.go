package events

// CauseCode is the machine-readable reason of a failure.
type CauseCode string

// The cause codes, those of the request first. All but CauseAttemptsExhausted, which stays the last, are decided on the
// first delivery.
const (
	CauseUndecodableEvent     CauseCode = "UNDECODABLE_EVENT"      // not a CloudEvent
	CauseUnsupportedEventType CauseCode = "UNSUPPORTED_EVENT_TYPE" // a CloudEvent of another type
	CauseInvalidRequest       CauseCode = "INVALID_REQUEST"        // a field is missing or wrong, or the plan unknown
	CauseInvalidTenantID      CauseCode = "INVALID_TENANT_ID"      // not 1 to 255 of A–Z a–z 0–9 _ -
	CauseReservedTenantID     CauseCode = "RESERVED_TENANT_ID"     // _docex_…_, docex_first_tenant
	CauseTenantExists         CauseCode = "TENANT_EXISTS"          // already registered, perhaps in other case
	CauseUnsupportedStrategy  CauseCode = "UNSUPPORTED_STRATEGY"   // this database cannot isolate that way
	CauseBoundaryNotEmpty     CauseCode = "BOUNDARY_NOT_EMPTY"     // the schema or file already holds rows
	CauseSchemaInvalid        CauseCode = "SCHEMA_INVALID"         // the structure differs from the definition
	CausePermissionDenied     CauseCode = "PERMISSION_DENIED"      // the database or file system denies access
	CauseInitScriptFailed     CauseCode = "INIT_SCRIPT_FAILED"     // an initialisation script failed, or left its tenant
	CauseSeedDataFailed       CauseCode = "SEED_DATA_FAILED"       // a row of the seed data was refused
	CauseAttemptsExhausted    CauseCode = "ATTEMPTS_EXHAUSTED"     // transient errors until the last attempt
)

// CauseCodes returns all cause codes of this version, in the order above. Later versions may add codes.
func CauseCodes() []CauseCode {
	return []CauseCode{
		CauseUndecodableEvent, CauseUnsupportedEventType, CauseInvalidRequest, CauseInvalidTenantID, CauseReservedTenantID,
		CauseTenantExists, CauseUnsupportedStrategy, CauseBoundaryNotEmpty, CauseSchemaInvalid, CausePermissionDenied,
		CauseInitScriptFailed, CauseSeedDataFailed, CauseAttemptsExhausted,
	}
}
