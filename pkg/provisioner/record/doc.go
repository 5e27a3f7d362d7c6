// Package record writes Views to files and reads them back, so that a decision of the controller can be made again on a laptop.
//
// A file holds the View, the Policy and the Decision that followed, as JSON, gzipped. Deciding is a function of the first two
// (package plan), so Replay makes the same Decision again byte for byte; where it does not, the program that replays is another
// one than the program that recorded, or something that a decision depends on is missing in the View, which is a bug.
//
// A Directory is bounded by files and bytes, the oldest goes first, and a file is there whole or not at all. A Recorder writes behind
// the grow loop's back: it never makes a decision wait, and it says how many records a slow disk cost.
//
// It decides nothing and reads no cluster. It may import pkg/provisioner/plan, and writes files only.
package record
