// Package observed wraps the cloud port so that every call is timed and counted by how it ended.
//
// It decides one thing: the word for an outcome. The words are few and fixed (see Outcome), since they are a metric's label.
// It changes no call, no answer and no error. It may import pkg/cloud and the standard library; where the numbers go is
// the Observer's business.
package observed
