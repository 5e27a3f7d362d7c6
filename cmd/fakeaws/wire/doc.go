// Package wire speaks AWS: it puts a simulated cloud (pkg/cloud/sim) behind the protocols of EC2, SQS, SSM, Pricing, IAM,
// EKS and STS, as aws-sdk-go-v2 sends and reads them, so that a program runs against it unchanged with AWS_ENDPOINT_URL set.
//
// One handler serves all services. It tells them apart as AWS's own front ends could: by the service name in the
// signature's credential scope, and the action by X-Amz-Target, the form's Action, or the path. Signatures are not
// verified. What the cloud decides (stock, quotas, tokens, faults) is sim's; what this package keeps itself is what sim has
// no word for: launch templates and instance profiles. It checks requests as strictly as EC2 documents it, because a
// request that only a lenient fake accepts is a bug that is found in production.
//
// It refuses actions that it does not play with the service's own error (InvalidAction, UnknownOperationException). Under
// /_fake/ it answers tests and demos: journal, instances, interruptions, faults (see control.go).
package wire
