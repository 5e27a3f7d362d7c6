// Package preflight looks, before anything is launched, whether Slipway can do its work in an AWS account and a cluster: who the credentials
// are and what they may do (dry runs, and reads by doing them), the interruption queue and its rules, what each EC2NodeClass selects, quotas
// against what runs, the CRDs, a device plugin, the controller.
//
// It decides what of all that fails, what only deserves a warning, and what helps. Each check is one Result, told as soon as it is known. A
// check that the credentials do not let it make is Skip, never OK. It changes nothing, anywhere.
//
// It may import the AWS adapter, the API types and a Kubernetes client; it knows no command line and prints nothing.
package preflight
