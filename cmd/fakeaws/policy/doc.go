// Package policy decides what IAM's identity-based policies allow, and those of a resource beside them, for fakeaws: so that a test of the
// controller fails where AWS would refuse it a call.
//
// It decides as IAM does for one account without boundaries, session policies or organisation: an explicit Deny wins, then an Allow, else
// the request is denied. It knows the parts of a policy that Slipway's own use: Action and Resource with wildcards, and the conditions
// StringEquals, StringLike, ArnEquals, ArnLike, Bool and Null with their negations, ...IfExists, ForAllValues and ForAnyValue. What it
// does not know it refuses to read, since to overlook a condition would be to allow too much: NotAction, NotResource, NotPrincipal,
// policy variables, other operators.
//
// Which requests an API call comes to, on which resources and with which keys, is the caller's (package wire).
// It imports the standard library only.
package policy
