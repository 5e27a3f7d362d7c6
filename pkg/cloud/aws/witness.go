package aws

import (
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// codePriorRequest: a request with the same token is still being worked on.
const codePriorRequest = "PriorRequestNotComplete"

// witness sees the attempts that the SDK makes of one call. Its caller sees the last one's error only: "throttled" says that nothing
// happened, which is not true of the call if the reply to an earlier attempt was lost.
type witness struct {
	awssdk.Retryer
	unanswered bool // an attempt ended without an answer that says that nothing happened
}

// watch puts the witness before the client's own retryer.
func (w *witness) watch(o *ec2.Options) {
	w.Retryer = o.Retryer
	o.Retryer = w
}

// IsErrorRetryable is asked after each attempt that failed.
func (w *witness) IsErrorRetryable(err error) bool {
	w.unanswered = w.unanswered || classOf(errorCode(err)) != classThrottled
	return w.Retryer.IsErrorRetryable(err)
}
