package plans

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
)

// units are the units of a size, in bytes.
var units = map[string]int64{
	"": 1, "B": 1,
	"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
}

var (
	// countForm is a whole number without leading zeros.
	countForm = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)$`)
	// sizeForm is such a number, and a unit.
	sizeForm = regexp.MustCompile(`^(-?(?:0|[1-9][0-9]*))(?: ?([A-Za-z]+))?$`)
)

var (
	errNotWhole = errors.New("is not a whole number")
	errTooSmall = errors.New("is below 1")
	errTooLarge = errors.New("is above 9007199254740991, 8 PiB - 1")
)

// parseSize reads a number of bytes with a unit, in any case: B, KB, MB, GB, TB are powers of 1000, and KiB, MiB, GiB,
// TiB powers of 1024. Without a unit it is bytes. The error is a phrase whose subject is the text.
func parseSize(text string) (int64, error) {
	form := sizeForm.FindStringSubmatch(text)
	if form == nil {
		return 0, errors.New("is not a size in whole bytes, KB, MB, GB, TB, KiB, MiB, GiB or TiB")
	}
	unit, known := units[strings.ToUpper(form[2])]
	if !known {
		return 0, errors.New("has a unit other than B, KB, MB, GB, TB, KiB, MiB, GiB, TiB")
	}
	return scaled(form[1], unit)
}

// parseCount reads a whole number. The error is a phrase whose subject is the text.
func parseCount(text string) (int64, error) {
	if !countForm.MatchString(text) {
		return 0, errNotWhole
	}
	return scaled(text, 1)
}

// scaled returns the number, which is decimal, times the unit.
func scaled(number string, unit int64) (int64, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case strings.HasPrefix(number, "-"), err == nil && n < 1:
		return 0, errTooSmall
	case err != nil, n > pipeline.MaxLimit/unit:
		return 0, errTooLarge
	}
	return n * unit, nil
}
