package observed

import (
	"context"
	"errors"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// The outcomes of a call.
const (
	OK            = "ok"
	Stockout      = "stockout"
	Quota         = "quota"
	Throttled     = "throttled"
	Denied        = "denied"
	Misconfigured = "misconfigured"
	Gone          = "gone"
	TokenReused   = "token_reused"
	Canceled      = "canceled" // by the caller: not the cloud's doing
	Timeout       = "timeout"
	Failed        = "error" // anything else
)

// Outcome is the word for how a call ended: by the port's typed errors, else by the code that an API answered.
func Outcome(err error) string {
	if err == nil {
		return OK
	}
	if word := portOutcome(err); word != "" {
		return word
	}
	if coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		return codeOutcome(coded.ErrorCode())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Failed
}

// portOutcome answers "" for an error that is none of the port's.
func portOutcome(err error) string {
	switch {
	case errors.Is(err, cloud.ErrGone):
		return Gone
	case errors.Is(err, cloud.ErrThrottled):
		return Throttled
	case errors.Is(err, cloud.ErrTokenReused):
		return TokenReused
	case is[*cloud.StockoutError](err):
		return Stockout
	case is[*cloud.QuotaError](err):
		return Quota
	case is[*cloud.DeniedError](err):
		return Denied
	case is[*cloud.MisconfiguredError](err):
		return Misconfigured
	}
	return ""
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// codes are the error codes of AWS that have a word of their own. It is a label, not a decision: the adapter, which
// decides, has its own and longer list.
var codes = map[string]string{
	"RequestLimitExceeded":                    Throttled,
	"Throttling":                              Throttled,
	"ThrottlingException":                     Throttled,
	"ThrottledException":                      Throttled,
	"TooManyRequestsException":                Throttled,
	"RequestThrottled":                        Throttled,
	"InsufficientInstanceCapacity":            Stockout,
	"SpotMaxPriceTooLow":                      Stockout,
	"MaxSpotInstanceCountExceeded":            Quota,
	"VcpuLimitExceeded":                       Quota,
	"UnauthorizedOperation":                   Denied,
	"AccessDenied":                            Denied,
	"AccessDeniedException":                   Denied,
	"AuthFailure":                             Denied,
	"ExpiredToken":                            Denied,
	"ExpiredTokenException":                   Denied,
	"InvalidClientTokenId":                    Denied,
	"UnrecognizedClientException":             Denied,
	"IdempotentParameterMismatch":             TokenReused,
	"InvalidInstanceID.NotFound":              Gone,
	"InvalidParameterValue":                   Misconfigured,
	"InvalidParameterCombination":             Misconfigured,
	"InvalidSubnetID.NotFound":                Misconfigured,
	"InvalidGroup.NotFound":                   Misconfigured,
	"InvalidAMIID.NotFound":                   Misconfigured,
	"ParameterNotFound":                       Misconfigured,
	"NoSuchEntity":                            Misconfigured,
	"AWS.SimpleQueueService.NonExistentQueue": Misconfigured,
	"QueueDoesNotExist":                       Misconfigured,
}

func codeOutcome(code string) string {
	if word, known := codes[code]; known {
		return word
	}
	return Failed
}
