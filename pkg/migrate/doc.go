// Package migrate turns what other autoscalers are told into Slipway's Provisioners and EC2NodeClasses, and says of each field what
// became of it.
//
// It reads Karpenter's NodePool and EC2NodeClass (v1, v1beta1), Provisioner (v1alpha5) and AWSNodeTemplate (v1alpha1), and the node groups of
// an eksctl ClusterConfig or as AWS describes them, which are what cluster-autoscaler scales. What is not about GPUs is left alone, with a word.
//
// It decides what each field means here: carried, approximated (and how), or not carried (why, and what to do). The rules of fields are
// tables, rules*.go, from which docs/migrate.md is generated; where it depends on the value, the code overrules the table. A ledger
// makes sure that every leaf of the source has exactly one entry in the report: what nobody claims is named as unknown.
//
//	source ─► small typed structs ─► (as a v1alpha5 Provisioner) carryover.Carry ─► Provisioner
//	   └────► leaves ─► entries of the code ─► the table ─► unknown                ─► report
//
// Where leaving something out would let more be bought than the user allowed, the Provisioner buys less, or nothing, as with carryover, whose
// conversion of requirements, labels and limits it uses.
//
// It may import the APIs, the catalogue, plan (the labels of instance types) and carryover; it writes nothing and reads no cluster, and no
// module of Karpenter or eksctl: the types here are the few fields that matter.
package migrate
