package binpack

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

const ruler = "----"

// TestStories solves each testdata/*.txt: a problem in words above the ruler, the plan drawn below it.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding stories: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			story, want, _ := strings.Cut(string(raw), "\n"+ruler+"\n")
			story = strings.TrimRight(story, "\n")
			p, pol, err := parseStory(story)
			if err != nil {
				t.Fatalf("parsing: %v", err)
			}
			plan := Solve(p, pol)
			if err := Check(p, plan); err != nil {
				t.Errorf("Check: %v", err)
			}
			got := drawPlan(p, plan)
			if *update {
				if err := os.WriteFile(file, []byte(story+"\n"+ruler+"\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("plan (-want +got); -update accepts it:\n%s", diff)
			}
		})
	}
}

// storyteller parses the lines of a story:
//
//	resources RESOURCE...            the one that ends in * is the scarce one
//	limit     NAME REMAINING
//	shape     NAME QUANTITY...
//	offering  NAME SHAPE $PRICE [tier N] [group N] [stock N] [closed REASON] [charge LIMIT AMOUNT]...
//	bin       NAME QUANTITY...
//	demand    NAME xCOUNT QUANTITY... [max N] [priority N] [gang N] [worth MILLI] [apart GLOB,GLOB...] [on GLOB,GLOB... [then GLOB,GLOB...]...]
//	policy    [tolerance MILLI] [choices N] [steps N]
//
// Globs match offerings and bins, those of "apart" other demands; without "on" everything is allowed.
type storyteller struct {
	p      Problem
	pol    Policy
	shapes map[string]int
	limits map[string]int
	allows [][]string // by Demand: globs of each level
	aparts []string   // by Demand: globs of demands
}

func parseStory(text string) (Problem, Policy, error) {
	s := &storyteller{shapes: map[string]int{}, limits: map[string]int{}, p: Problem{GPU: -1}}
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.line(words[0], words[1:]); err != nil {
			return Problem{}, Policy{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if err := s.resolve(); err != nil {
		return Problem{}, Policy{}, err
	}
	return s.p, s.pol, s.p.Validate()
}

func (s *storyteller) line(verb string, w []string) error {
	if verb != "resources" && verb != "policy" && len(w) == 0 {
		return errors.New("a name is missing")
	}
	switch verb {
	case "resources":
		for i, r := range w {
			if strings.HasSuffix(r, "*") {
				s.p.GPU = i
			}
			s.p.Resources = append(s.p.Resources, strings.TrimSuffix(r, "*"))
		}
		return nil
	case "limit":
		v, _, err := numbers(w[1:], 1)
		if err == nil {
			s.limits[w[0]] = len(s.p.Limits)
			s.p.Limits = append(s.p.Limits, Limit{Name: w[0], Remaining: v[0]})
		}
		return err
	case "shape":
		v, _, err := numbers(w[1:], len(s.p.Resources))
		s.shapes[w[0]] = len(s.p.Shapes)
		s.p.Shapes = append(s.p.Shapes, Shape{Name: w[0], Capacity: v})
		return err
	case "bin":
		v, _, err := numbers(w[1:], len(s.p.Resources))
		s.p.Bins = append(s.p.Bins, Bin{Name: w[0], Free: v})
		return err
	case "offering":
		return s.offering(w)
	case "demand":
		return s.demand(w)
	case "policy":
		return options(w, map[string]func(int64){
			"tolerance": func(n int64) { s.pol.ToleranceMilli = int(n) },
			"choices":   func(n int64) { s.pol.MaxChoices = int(n) },
			"steps":     func(n int64) { s.pol.Steps = int(n) },
		})
	}
	return fmt.Errorf("unknown word %q", verb)
}

func (s *storyteller) offering(w []string) error {
	if len(w) < 3 || !strings.HasPrefix(w[2], "$") {
		return errors.New("want NAME SHAPE $PRICE")
	}
	shape, ok := s.shapes[w[1]]
	price, err := strconv.ParseFloat(w[2][1:], 64)
	if !ok || err != nil || price < 0 || price > 1e4 {
		return fmt.Errorf("shape %q or price %q is bad", w[1], w[2])
	}
	o := Offering{Name: w[0], Shape: shape, PriceMicroUSDPerHour: int64(price*1e6 + 0.5), Stock: -1}
	w = w[3:]
	for len(w) > 0 {
		switch {
		case w[0] == "closed" && len(w) > 1:
			for r := Open; r < NumReasons; r++ {
				if r.String() == w[1] {
					o.Closed = r
				}
			}
			w = w[2:]
		case w[0] == "charge" && len(w) > 2:
			v, _, err := numbers(w[2:3], 1)
			limit, ok := s.limits[w[1]]
			if err != nil || !ok {
				return fmt.Errorf("charge %v is bad", w[1:3])
			}
			o.Charges = append(o.Charges, Charge{Limit: limit, Amount: v[0]})
			w = w[3:]
		case len(w) > 1:
			if err := options(w[:2], map[string]func(int64){
				"tier": func(n int64) { o.Tier = int(n) }, "group": func(n int64) { o.Group = int(n) }, "stock": func(n int64) { o.Stock = int(n) },
			}); err != nil {
				return err
			}
			w = w[2:]
		default:
			return fmt.Errorf("%q wants a value", w[0])
		}
	}
	s.p.Offerings = append(s.p.Offerings, o)
	return nil
}

func (s *storyteller) demand(w []string) error {
	if len(w) < 2 || !strings.HasPrefix(w[1], "x") {
		return errors.New("want NAME xCOUNT")
	}
	count, err := strconv.Atoi(w[1][1:])
	if err != nil {
		return err
	}
	size, rest, err := numbers(w[2:], len(s.p.Resources))
	if err != nil {
		return err
	}
	d := Demand{Name: w[0], Count: count, Size: size}
	levels := []string{"*"}
	for i, word := range rest {
		if word == "on" {
			levels = strings.Split(strings.Join(rest[i+1:], " "), " then ")
			rest = rest[:i]
			break
		}
	}
	apart := ""
	if i := slices.Index(rest, "apart"); i >= 0 && i+1 < len(rest) {
		apart, rest = rest[i+1], slices.Delete(slices.Clone(rest), i, i+2)
	}
	s.p.Demands, s.allows, s.aparts = append(s.p.Demands, d), append(s.allows, levels), append(s.aparts, apart)
	at := &s.p.Demands[len(s.p.Demands)-1]
	return options(rest, map[string]func(int64){
		"max": func(n int64) { at.MaxPerNode = int(n) }, "priority": func(n int64) { at.Priority = int32(n) }, "gang": func(n int64) { at.Gang = int(n) },
		"worth": func(n int64) { at.WorthMilli = int(n) },
	})
}

// resolve turns globs into sets, when all names are known.
func (s *storyteller) resolve() error {
	for d, levels := range s.allows {
		for _, globs := range levels {
			l := Level{Offerings: NewSet(len(s.p.Offerings)), Bins: NewSet(len(s.p.Bins))}
			for _, glob := range strings.Split(globs, ",") {
				if _, err := path.Match(glob, ""); err != nil {
					return err
				}
				for i := range s.p.Offerings {
					if ok, _ := path.Match(glob, s.p.Offerings[i].Name); ok {
						l.Offerings.Add(i)
					}
				}
				for i := range s.p.Bins {
					if ok, _ := path.Match(glob, s.p.Bins[i].Name); ok {
						l.Bins.Add(i)
					}
				}
			}
			s.p.Demands[d].Levels = append(s.p.Demands[d].Levels, l)
		}
	}
	return s.resolveApart()
}

func (s *storyteller) resolveApart() error {
	for d, globs := range s.aparts {
		for _, glob := range strings.Split(globs, ",") {
			for e := range s.p.Demands {
				ok, err := path.Match(glob, s.p.Demands[e].Name)
				if err != nil {
					return err
				}
				if !ok || e == d {
					continue
				}
				if s.p.Demands[d].Apart == nil {
					s.p.Demands[d].Apart = NewSet(len(s.p.Demands))
				}
				s.p.Demands[d].Apart.Add(e)
			}
		}
	}
	return nil
}

func numbers(w []string, n int) (Vector, []string, error) {
	if len(w) < n {
		return nil, nil, fmt.Errorf("want %d numbers, have %v", n, w)
	}
	v := make(Vector, n)
	for i := range v {
		var err error
		if v[i], err = strconv.ParseInt(w[i], 10, 64); err != nil {
			return nil, nil, err
		}
	}
	return v, w[n:], nil
}

func options(w []string, set map[string]func(int64)) error {
	for ; len(w) > 0; w = w[2:] {
		f := set[w[0]]
		if f == nil || len(w) < 2 {
			return fmt.Errorf("unknown option or no value: %v", w)
		}
		n, err := strconv.ParseInt(w[1], 10, 32)
		if err != nil {
			return err
		}
		f(n)
	}
	return nil
}
