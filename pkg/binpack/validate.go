package binpack

import (
	"errors"
	"fmt"
)

// MaxPriceMicroUSDPerHour is the dearest price that an offering may have: ten thousand dollars per hour.
const MaxPriceMicroUSDPerHour = 10_000_000_000

// MaxCount is the most pods that one demand may count.
const MaxCount = 1_000_000

// MaxQuantity is the largest entry of a Vector and the largest charge.
const MaxQuantity = 1 << 50

// Validate tells what makes the problem malformed, if anything. Solve takes a well-formed problem for granted; callers that build
// problems from data which they do not trust ask here first. O(size of the problem).
func (p Problem) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.GPU < -1 || p.GPU >= len(p.Resources) {
		bad("GPU %d is not an index of Resources", p.GPU)
	}
	vector := func(what string, v Vector) {
		if len(v) != len(p.Resources) {
			bad("%s has %d quantities for %d resources", what, len(v), len(p.Resources))
		}
		for _, q := range v {
			if q < 0 || q > MaxQuantity {
				bad("%s has quantity %d outside 0..%d", what, q, int64(MaxQuantity))
			}
		}
	}
	for _, s := range p.Shapes {
		vector("shape "+s.Name, s.Capacity)
	}
	for _, b := range p.Bins {
		vector("bin "+b.Name, b.Free)
	}
	for i, d := range p.Demands {
		vector("demand "+d.Name, d.Size)
		if d.Apart.Has(i) || d.Apart.beyond(len(p.Demands)) {
			bad("demand %s: apart names the demand itself, or one that does not exist", d.Name)
		}
		if d.WorthMilli < 0 || d.WorthMilli > 1000 || d.WorthMilli > 0 && d.Gang != 0 {
			bad("demand %s: worth %d is outside 0..1000, or expected pods are a gang", d.Name, d.WorthMilli)
		}
		if d.Count < 1 || d.Count > MaxCount || d.MaxPerNode < 0 || len(d.Levels) == 0 {
			bad("demand %s wants 1 <= count <= %d, maxPerNode >= 0 and a level", d.Name, MaxCount)
		}
	}
	for i := range p.Offerings {
		if err := p.validOffering(&p.Offerings[i]); err != nil {
			errs = append(errs, err)
		}
	}
	if err := p.uniqueNames(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (p Problem) validOffering(o *Offering) error {
	switch {
	case o.Shape < 0 || o.Shape >= len(p.Shapes):
		return fmt.Errorf("offering %s: shape %d does not exist", o.Name, o.Shape)
	case o.PriceMicroUSDPerHour < 0 || o.PriceMicroUSDPerHour > MaxPriceMicroUSDPerHour:
		return fmt.Errorf("offering %s: price %d outside 0..%d", o.Name, o.PriceMicroUSDPerHour, int64(MaxPriceMicroUSDPerHour))
	case o.Closed == ReasonConstraint || o.Closed == ReasonNoShape || o.Closed == ReasonLimit || o.Closed >= ReasonGang:
		return fmt.Errorf("offering %s: %s is not why an offering can be closed", o.Name, o.Closed)
	}
	for i, c := range o.Charges {
		if c.Limit < 0 || c.Limit >= len(p.Limits) || c.Amount < 0 || c.Amount > MaxQuantity || i > 0 && o.Charges[i-1].Limit >= c.Limit {
			return fmt.Errorf("offering %s: charges want existing limits in order and amounts in 0..%d", o.Name, int64(MaxQuantity))
		}
	}
	return nil
}

func (p Problem) uniqueNames() error {
	type key struct{ kind, name string }
	seen := make(map[key]bool, len(p.Offerings)+len(p.Bins)+len(p.Demands))
	again := func(kind, name string) error {
		k := key{kind, name}
		if seen[k] {
			return fmt.Errorf("two %ss are called %q", kind, name)
		}
		seen[k] = true
		return nil
	}
	for i := range p.Offerings {
		if err := again("offering", p.Offerings[i].Name); err != nil {
			return err
		}
	}
	for i := range p.Bins {
		if err := again("bin", p.Bins[i].Name); err != nil {
			return err
		}
	}
	for i := range p.Demands {
		if err := again("demand", p.Demands[i].Name); err != nil {
			return err
		}
	}
	return nil
}
