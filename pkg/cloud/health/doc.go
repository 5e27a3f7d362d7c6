// Package health remembers what offerings have done lately: which had no capacity, which quota was used up, whether the cloud
// answered at all, and which machines it took back. From that it answers how many nodes of an offering may be tried now.
//
// It decides no launch and knows no demand. Nothing is closed forever: a closed offering opens by itself after a time that
// doubles with each failure, first for a single attempt, then for twice as many after each success.
//
//	           failure n: for 30 s, 1 min, 2 min ... 15 min
//	open ───────────────────────────────► closed
//	 ▲                                      │ time passes
//	 │ successes: 2, 4, 8 ... unbounded     ▼
//	 └────────────────────────────────── half-open: 1 attempt ── failure ──► closed, n+1
//
// Why: a fixed close time (Karpenter keeps an offering out for 3 minutes) makes a storm of attempts where most of a region
// is dry for hours, since each of hundreds of offerings is tried again by every node wanted; a quota that is learned one
// offering at a time costs one failed call for each; and an offering that was interrupted is forgotten just as fast.
// What users met: kubernetes-sigs/karpenter#3198 (88 % of failures named one type in one zone),
// aws/karpenter-provider-aws#5789 (a quota taken for a stockout) and #8298 (no memory of interruptions).
//
// Time comes in as a value: when the cloud said so, for a report; the present, for a question. A Book is safe for concurrent use
// and starts no goroutine. The package may import the standard library and pkg/cloud.
package health
