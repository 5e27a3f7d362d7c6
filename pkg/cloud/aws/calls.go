package aws

import (
	"context"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// observe puts a step after the SDK's retry loop, so that each attempt on the wire is seen: rate limits count those.
func observe(onCall func(service, operation string, seconds float64, err error), now func() time.Time) func(*middleware.Stack) error {
	step := middleware.FinalizeMiddlewareFunc("SlipwayObserve", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		start := now()
		out, metadata, err := next.HandleFinalize(ctx, in)
		onCall(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), now().Sub(start).Seconds(), err)
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(step, "Retry", middleware.After)
	}
}
