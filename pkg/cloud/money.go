package cloud

import (
	"fmt"
	"strconv"
	"strings"
)

// MicroUSD is how many micro-dollars make a dollar.
const MicroUSD = 1_000_000

// FormatDollars writes micro-dollars as dollars: 526000 is "0.526". It keeps every digit and at least two.
func FormatDollars(micro int64) string {
	sign := ""
	if micro < 0 {
		sign, micro = "-", -micro
	}
	fraction := strings.TrimRight(fmt.Sprintf("%06d", micro%MicroUSD), "0")
	for len(fraction) < 2 {
		fraction += "0"
	}
	return sign + strconv.FormatInt(micro/MicroUSD, 10) + "." + fraction
}

// ParseDollars reads dollars as a plain decimal number, exactly; digits beyond the micro-dollar round up, so that a price is never
// understated. It refuses negative numbers, exponents and anything above 9 digits of dollars.
func ParseDollars(text string) (int64, error) {
	whole, fraction, point := strings.Cut(text, ".")
	if whole == "" || point && fraction == "" || len(whole) > 9 || !digits(whole) || !digits(fraction) {
		return 0, fmt.Errorf("price %q is not a decimal number of dollars such as 0.526", text)
	}
	dollars, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading price %q: %w", text, err)
	}
	up := int64(0)
	if len(fraction) > 6 {
		if strings.Trim(fraction[6:], "0") != "" {
			up = 1
		}
		fraction = fraction[:6]
	}
	micro, err := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading price %q: %w", text, err)
	}
	return dollars*MicroUSD + micro + up, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
