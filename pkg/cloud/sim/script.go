package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Parse reads a script: one fault per line, empty lines and what follows a # left out. Every bad line is named in the error.
//
//	line     = [ when ] fault
//	when     = "at" DURATION | "every" DURATION | "after" N "launches"     counted from the start; without: at once
//	fault    = "interrupt" WHICH [ OFFERING ]         spot warns; the machine is taken at the deadline
//	         | "rebalance" WHICH [ OFFERING ]         spot recommends to leave
//	         | "terminate" WHICH [ OFFERING ]         as if someone did it by hand
//	         | "stockout" OFFERING [ "for" DURATION ]
//	         | "stock" OFFERING ( N | "unlimited" )
//	         | "price" OFFERING USD                   per hour, with up to six decimals
//	         | "quota" MARKET ( N | "unlimited" ) BUCKET      N vCPUs; BUCKET as EC2 names it: G and VT
//	         | "throttle" [ CALL ] [ "for" ] DURATION
//	         | "deny" [ CALL ] [ "for" DURATION ]
//	         | "fail" [ CALL ] [ "for" DURATION ]
//	         | "lose" "reply" "of" "launch" N         the first launch is 1
//	         | "ignore" "tokens" [ "for" DURATION ]
//	         | "boot" "delay" DURATION [ "for" OFFERING ]
//	         | ( "join" | "gpu" ) ( "delay" DURATION | "never" ) [ "for" OFFERING ]
//	         | "gpu" "missing" N "of" OFFERING
//	         | "duplicate" N "notices"
//	         | "send" TEXT                            up to the end of the line
//	WHICH    = "oldest" | "newest" | "all" | an instance ID
//	OFFERING = type[/zone[/market]], each a glob: g4dn.*/us-east-1a/spot
//	DURATION = as Go writes it: 90s, 2m; at most 8760h
//
// Delays replace the configured ones, for machines launched from then on; of two faults that contradict each other the
// later one holds.
func Parse(script io.Reader) ([]Fault, error) {
	var faults []Fault
	var errs []error
	lines := bufio.NewScanner(script)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		f, err := ParseLine(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		f.Line = n
		faults = append(faults, f)
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("reading the script: %w", err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return faults, nil
}

// ParseLine reads one fault; see Parse.
func ParseLine(line string) (Fault, error) {
	p := &parser{words: strings.Fields(line)}
	f := p.line()
	if p.err == nil && len(p.words) > 0 {
		p.fail("nothing is expected after it, but there is %q", strings.Join(p.words, " "))
	}
	if p.err != nil {
		return Fault{}, p.err
	}
	return f, nil
}

func (p *parser) line() Fault {
	f := Fault{}
	switch p.peek() {
	case "at", "every":
		f.When = When(p.word("at or every"))
		f.Wait = p.duration()
		if f.When == Every && f.Wait == 0 && p.err == nil {
			p.fail("every needs a duration above zero")
		}
	case "after":
		f.When = When(p.word("after"))
		f.Launches = p.count(1)
		p.expect("launches")
	}
	verb := p.word("a fault such as interrupt, stockout or throttle")
	read, known := grammar()[verb]
	if !known {
		p.fail("there is no fault %q; there are %s", verb, strings.Join(verbs(), ", "))
		return f
	}
	f.Verb = Verb(verb)
	read(p, &f)
	return f
}

// grammar is how the rest of a line is read, by its first word.
func grammar() map[string]func(*parser, *Fault) {
	return map[string]func(*parser, *Fault){
		"interrupt": (*parser).strike, "rebalance": (*parser).strike, "terminate": (*parser).strike,
		"stockout":  func(p *parser, f *Fault) { f.Offering = p.offering(); f.For = p.optionalFor() },
		"stock":     func(p *parser, f *Fault) { f.Offering = p.offering(); f.Count = p.countOrUnlimited() },
		"price":     func(p *parser, f *Fault) { f.Offering = p.offering(); f.PriceMicroUSD = p.money() },
		"quota":     (*parser).quota,
		"throttle":  (*parser).throttle,
		"deny":      (*parser).refuse,
		"fail":      (*parser).refuse,
		"lose":      func(p *parser, f *Fault) { f.Verb = LoseReply; p.expect("reply", "of", "launch"); f.Count = p.count(1) },
		"ignore":    func(p *parser, f *Fault) { f.Verb = IgnoreTokens; p.expect("tokens"); f.For = p.optionalFor() },
		"boot":      (*parser).delay,
		"join":      (*parser).delay,
		"gpu":       (*parser).delay,
		"duplicate": func(p *parser, f *Fault) { f.Count = p.count(1); p.expect("notices") },
		"send":      (*parser).send,
	}
}

func (p *parser) strike(f *Fault) {
	f.Which = p.word("oldest, newest, all or an instance ID")
	switch {
	case f.Which == "oldest", f.Which == "newest", f.Which == "all", strings.HasPrefix(f.Which, "i-"):
	default:
		p.fail("%q is no machine; want oldest, newest, all or an instance ID", f.Which)
	}
	if len(p.words) > 0 {
		f.Offering = p.offering()
	}
}

func (p *parser) quota(f *Fault) {
	f.Market = p.market()
	f.Count = p.countOrUnlimited()
	f.Bucket = strings.Join(p.words, " ")
	if f.Bucket == "" {
		p.fail("quota needs a bucket, such as G and VT")
	}
	p.words = nil
}

func (p *parser) throttle(f *Fault) {
	if p.isCall() {
		f.Call = p.word("a call")
	}
	if p.peek() == "for" {
		p.expect("for")
	}
	f.For = p.positive()
}

func (p *parser) refuse(f *Fault) {
	if p.isCall() {
		f.Call = p.word("a call")
	}
	f.For = p.optionalFor()
}

func (p *parser) delay(f *Fault) {
	what := p.word("delay, never or missing")
	switch {
	case what == "missing" && f.Verb == "gpu":
		f.Verb, f.Count = MissGPU, p.count(0)
		p.expect("of")
		f.Offering = p.offering()
		return
	case what == "never" && f.Verb != "boot":
		f.Never = true
	case what == "delay":
		f.Delay = p.duration()
	default:
		p.fail("%s cannot be %q", f.Verb, what)
	}
	f.Verb += " delay"
	if p.peek() == "for" {
		p.expect("for")
		f.Offering = p.offering()
	}
}

func (p *parser) send(f *Fault) {
	f.Text = strings.Join(p.words, " ")
	if f.Text == "" {
		p.fail("send needs a text")
	}
	p.words = nil
}
