package cloud

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Sentinels that callers test with errors.Is.
var (
	// ErrGone: the machine does not exist (any more).
	ErrGone = errors.New("instance is gone")
	// ErrTerminated: the cloud remembers the machine, and that it has ended. It is an ErrGone that proves something however young the
	// machine is: that the cloud does not know a machine may also mean that it does not know it yet.
	ErrTerminated = fmt.Errorf("%w: it is terminated", ErrGone)
	// ErrThrottled: the cloud refused for the rate of calls; nothing happened; try again later.
	ErrThrottled = errors.New("request was throttled")
	// ErrTokenReused: the token was used for a different request; look for the machine by its token instead.
	ErrTokenReused = errors.New("launch token was used for a different request")
)

// TerminatedError is an ErrTerminated with its reason.
type TerminatedError struct {
	Reason string // the cloud's own words, not empty: Client.InvalidKMSKey.InvalidState: ...
}

func (e *TerminatedError) Error() string { return ErrTerminated.Error() + ": " + e.Reason }

func (e *TerminatedError) Unwrap() error { return ErrTerminated }

// EndReason answers why the machine has ended that an error is about; empty: the cloud does not say, or it has not.
func EndReason(err error) string {
	if ended, told := errors.AsType[*TerminatedError](err); told {
		return ended.Reason
	}
	return ""
}

// StockoutError: none of the choices has capacity at the moment.
type StockoutError struct {
	Offerings []OfferingKey // sorted; each was tried and is out of stock
	Message   string        // the cloud's own words
}

func (e *StockoutError) Error() string {
	names := make([]string, len(e.Offerings))
	for i, k := range e.Offerings {
		names[i] = k.String()
	}
	slices.Sort(names)
	return fmt.Sprintf("no capacity for %s: %s", strings.Join(names, ", "), e.Message)
}

// QuotaError: an account quota is used up. It closes the whole bucket, not one offering.
type QuotaError struct {
	Market  Market
	Bucket  string // the quota's families as EC2 groups them: "G and VT", "P"
	Message string
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("quota for %s %s instances is used up: %s", e.Bucket, e.Market, e.Message)
}

// DeniedError: credentials or permissions do not allow the call.
type DeniedError struct {
	Action  string // ec2:CreateFleet
	Message string
}

func (e *DeniedError) Error() string { return fmt.Sprintf("%s is denied: %s", e.Action, e.Message) }

// MisconfiguredError: the request can never succeed as it is; a person must change something.
type MisconfiguredError struct {
	Field   string // path in the EC2NodeClass or Provisioner: spec.subnetSelectorTerms
	Message string // what is wrong, and the remedy
}

func (e *MisconfiguredError) Error() string { return e.Field + ": " + e.Message }
