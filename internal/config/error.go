package config

// Error is a fault of the environment: a variable with a wrong value. Its text names the variable.
type Error struct{ error }

// NewError makes a Error of err; nil stays nil.
func NewError(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

func (e *Error) Unwrap() error { return e.error }
