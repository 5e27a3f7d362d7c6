package sim

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// longest keeps every sum of times in range.
const longest = 8760 * time.Hour

// parser takes a line's words one by one. The first error stays; what is read after it is of no use.
type parser struct {
	words []string
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) word(want string) string {
	if len(p.words) == 0 {
		p.fail("the line ends where %s is expected", want)
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *parser) expect(words ...string) {
	for _, want := range words {
		if got := p.word(strconv.Quote(want)); got != want {
			p.fail("%q stands where %q is expected", got, want)
		}
	}
}

func (p *parser) duration() time.Duration {
	word := p.word("a duration such as 90s")
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 || d > longest {
		p.fail("%q is no duration; want one such as 90s or 2m, at most %s", word, longest)
		return 0
	}
	return d
}

func (p *parser) positive() time.Duration {
	d := p.duration()
	if d == 0 {
		p.fail("the duration must be above zero")
	}
	return d
}

func (p *parser) optionalFor() time.Duration {
	if p.peek() != "for" {
		return 0
	}
	p.expect("for")
	return p.positive()
}

func (p *parser) count(least int) int {
	word := p.word("a number")
	n, err := strconv.Atoi(word)
	if err != nil || n < least {
		p.fail("%q is no number from %d on", word, least)
		return 0
	}
	return n
}

func (p *parser) countOrUnlimited() int {
	if p.peek() == "unlimited" {
		p.expect("unlimited")
		return Unlimited
	}
	return p.count(0)
}

// offering reads a pattern and lets none pass that matches nothing for its form.
func (p *parser) offering() Pattern {
	word := p.word("an offering such as g4dn.xlarge/us-east-1a/spot")
	parts := strings.Split(word, "/")
	if len(parts) > 3 || slices.Contains(parts, "") {
		p.fail("%q is no offering; want type[/zone[/market]]", word)
	}
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil {
			p.fail("%q is no offering: %v", word, err)
		}
	}
	return Pattern(word)
}

func (p *parser) market() cloud.Market {
	word := p.word("a market")
	switch m := cloud.Market(word); m {
	case cloud.Spot, cloud.OnDemand, cloud.Reserved:
		return m
	}
	p.fail("%q is no market; want spot, on-demand or reserved", word)
	return ""
}

// money reads dollars as integer micro-dollars.
func (p *parser) money() int64 {
	word := p.word("a price in dollars")
	whole, fraction, _ := strings.Cut(word, ".")
	digits := whole + (fraction + "000000")[:max(6, len(fraction))]
	micro, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || micro <= 0 || len(fraction) > 6 || strings.ContainsAny(word, "+-") {
		p.fail("%q is no price; want dollars above zero with up to six decimals", word)
		return 0
	}
	return micro
}

// isCall says whether the next word is an action: they begin with a capital letter.
func (p *parser) isCall() bool {
	word := p.peek()
	return word != "" && word[0] >= 'A' && word[0] <= 'Z'
}

func verbs() []string { return slices.Sorted(maps.Keys(grammar())) }

// String is the fault as a line of a script, as Parse reads it.
func (f Fault) String() string {
	words := []string{f.trigger(), string(f.Verb)}
	add := func(more ...string) { words = append(words, more...) }
	switch f.Verb {
	case Interrupt, Rebalance, Terminate:
		add(f.Which, string(f.Offering))
	case Stockout:
		add(string(f.Offering))
	case Stock:
		add(string(f.Offering), amount(f.Count))
	case Price:
		add(string(f.Offering), fmt.Sprintf("%d.%06d", f.PriceMicroUSD/1e6, f.PriceMicroUSD%1e6))
	case Quota:
		add(string(f.Market), amount(f.Count), f.Bucket)
	case Throttle, Deny, Fail:
		add(f.Call)
	case LoseReply:
		add("of launch", strconv.Itoa(f.Count))
	case DelayBoot, DelayJoin, DelayGPU:
		words = []string{f.trigger(), f.delayed()}
	case MissGPU:
		add(strconv.Itoa(f.Count), "of", string(f.Offering))
	case DuplicateNext:
		add(strconv.Itoa(f.Count), "notices")
	case Send:
		add(f.Text)
	}
	if f.For > 0 {
		add("for", f.For.String())
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

func (f Fault) trigger() string {
	switch f.When {
	case At, Every:
		return string(f.When) + " " + f.Wait.String()
	case AfterLaunches:
		return fmt.Sprintf("after %d launches", f.Launches)
	}
	return ""
}

func (f Fault) delayed() string {
	line := string(f.Verb) + " " + f.Delay.String()
	if f.Never {
		line = strings.TrimSuffix(string(f.Verb), "delay") + "never"
	}
	if f.Offering != "" {
		line += " for " + string(f.Offering)
	}
	return line
}

func amount(n int) string {
	if n == Unlimited {
		return "unlimited"
	}
	return strconv.Itoa(n)
}
