package health

import "time"

// risk is what interruptions of an offering are expected to cost, in thousandths of its price: an exponentially weighted sum.
//
//	risk(t) = Σ over interruptions i of RiskStepMilli · 2^-((t - tᵢ) / RiskHalfLife), at most RiskMaxMilli
//
// Between two halvings it falls in a straight line, which every machine computes the same.
type risk struct {
	at    time.Time // of the last interruption
	milli int64     // at that time
}

// interrupted adds one interruption. One that is not later than the last changes nothing: notices come at least once, and machines
// of one offering that are taken at the same moment are one event. It answers whether it counted.
func (r *risk) interrupted(at time.Time, p *Policy) bool {
	if !r.at.IsZero() && !at.After(r.at) {
		return false
	}
	r.milli = min(r.value(at, p)+p.RiskStepMilli, p.RiskMaxMilli)
	r.at = at
	return true
}

// value is 0 <= value <= RiskMaxMilli, and never rises without an interruption.
func (r *risk) value(now time.Time, p *Policy) int64 {
	age := max(0, now.Sub(r.at))
	halvings := age / p.RiskHalfLife
	if halvings >= 63 {
		return 0
	}
	left := r.milli >> halvings
	return left - int64(float64(left)*float64(age%p.RiskHalfLife)/float64(2*p.RiskHalfLife))
}
