// Package catalogue holds facts about EC2's GPU instance types that are compiled into the binary.
//
// They stand in where the cloud does not answer: an endpoint without the Pricing API, an instance type that EC2 no
// longer describes although it still sells it (p3), a first start during an outage. The fake cloud takes its stock
// from them too. They decide nothing and go stale: whoever uses them says so (cloud.Degradation), with Facts.AsOf.
//
// Sources: EC2 DescribeInstanceTypes and the public price list for us-east-1, Linux. There is no public list of spot
// prices; SpotEstimate says how one is estimated. facts_generated.go is written by the program in ./generate.
//
// It may import the standard library and pkg/cloud only.
package catalogue

//go:generate go run ./generate -source $SLIPWAY_CATALOGUE -out facts_generated.go
