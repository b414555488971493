package config

// Error is a fault of the environment: a variable with an invalid value. Its text names the variable.
type Error struct{ error }

// NewError wraps err in an Error; nil stays nil.
func NewError(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

func (e *Error) Unwrap() error { return e.error }
