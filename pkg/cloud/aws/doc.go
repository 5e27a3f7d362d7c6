// Package aws is the production adapter of the cloud port: EC2, Pricing, SSM, IAM, EKS, STS, SQS and, for
// preflight, EventBridge and Service Quotas through aws-sdk-go-v2. It is the only package that imports the SDK.
//
// It decides little: how a machine is asked for (CreateFleet of type instant through a launch template), what EC2's
// words mean in the port's terms (errors, notices, instance types), and what stands in when a source of facts does not
// answer (the last known, then pkg/cloud/catalogue). What to buy, when, and what to do about an error is the caller's.
//
// Every effect has a deterministic name or token, so that a crash between any two calls repeats safely: CreateFleet
// carries the claim's UID as its client token, launch templates are named by a hash of their whole content, instance
// profiles by a hash of cluster, node class and role.
//
// The real endpoints are replaced by setting AWS_ENDPOINT_URL, which the SDK honours itself; nothing here knows.
//
// It may import the standard library, the SDK, pkg/cloud, pkg/cloud/catalogue, pkg/cloud/health (for the names of quotas), a
// YAML and a TOML library. It knows no Kubernetes API type and no custom resource.
package aws
