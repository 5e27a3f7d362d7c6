// Package chart tests Slipway's Helm charts with Helm's own library: that they lint, that bad values are refused with a reason, that what is
// rendered is what was reviewed (testdata/*.golden.yaml; -update writes them), valid to Kubernetes' own types, as tight as docs/security.md
// says, and that alerts and the dashboard name metrics that exist.
//
// It is a module of its own so that slipway's does not depend on Helm. The end-to-end suite installs the charts into a cluster.
package chart
