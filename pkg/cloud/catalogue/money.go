package catalogue

import (
	"fmt"
	"math"
	"strings"
)

// ParseUSD reads a decimal number of dollars, such as "0.5260000000", as exact integer micro-dollars, without floating
// point. Digits beyond the sixth place are rounded half up. Signs, exponents, spaces and anything that does not fit
// in an int64 are errors.
func ParseUSD(text string) (microUSD int64, err error) {
	whole, fraction, hasPoint := strings.Cut(text, ".")
	if whole == "" || hasPoint && fraction == "" {
		return 0, fmt.Errorf("price %q is not a decimal number such as 0.526", text)
	}
	for _, r := range whole + fraction {
		if r < '0' || r > '9' {
			return 0, fmt.Errorf("price %q is not a decimal number such as 0.526", text)
		}
	}
	const places = 6
	roundUp := len(fraction) > places && fraction[places] >= '5'
	digits := whole + (fraction + "000000")[:places]
	for _, r := range digits {
		d := int64(r - '0')
		if microUSD > (math.MaxInt64-d)/10 {
			return 0, fmt.Errorf("price %q is too large", text)
		}
		microUSD = microUSD*10 + d
	}
	if roundUp {
		if microUSD == math.MaxInt64 {
			return 0, fmt.Errorf("price %q is too large", text)
		}
		microUSD++
	}
	return microUSD, nil
}
