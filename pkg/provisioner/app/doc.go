// Package app puts the controller together: the one place where packages meet, for `slipway controller` and for every test that
// wants exactly what runs in production.
//
// It decides nothing. It may import everything below it; only cmd/slipway, the tests and the demo may import it.
package app
