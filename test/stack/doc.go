// Package stack reads deploy/cloudformation/slipway.yaml as CloudFormation would, as far as the template goes: parameters with their
// defaults, allowed values and patterns, rules, conditions, and the intrinsic functions Ref, Sub, GetAtt, If, Equals, Join and Not. So tests
// can look at what a user would get, and have the controller's policies enforced on a fake AWS.
//
// It refuses what it does not know: a function, a reference to nothing or to a resource that a condition leaves out, an attribute that it cannot
// name. What AWS would make up (ARNs, physical names) it makes up in AWS' form. It does not know whether a resource's properties are right:
// its test has their names.
//
// It may be imported by tests and by test/stage; never by the product.
package stack
