// Package terraform reads deploy/terraform as Terraform would, as far as the module goes: variables with their defaults and validations, locals,
// data sources, resources with count, for_each and preconditions, outputs, and a few functions. The expressions themselves are evaluated by
// HCL's own library. So a test can compare what a user gets with what deploy/cloudformation makes, and nobody needs the program terraform, the
// AWS provider or an account.
//
// It refuses what it does not know: a kind of block, a function, a type of resource, an argument or attribute that a type has not got, a
// circle of references. What AWS would make up (ARNs, URLs) it makes up as test/stack does. Arguments that the provider computes or defaults are
// not looked at.
//
// It is a module of its own, so that HCL is no dependency of Slipway; it may be imported by nobody.
package terraform
