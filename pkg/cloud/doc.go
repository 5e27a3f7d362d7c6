// Package cloud is the port between Slipway and a cloud that rents machines by the hour.
//
// It decides nothing. It names what the controller may ask (Catalog, Templates, Fleet, NoticeSource), the values that
// pass through, and the errors that a caller branches on. Adapters (pkg/cloud/aws, pkg/cloud/sim) implement it; the
// rules each of them must keep are the tests of pkg/cloud/contract.
//
// It knows no Kubernetes type and no custom resource: values are plain. It may import the standard library only.
//
// Units: money is integer micro-dollars per hour (1 $/h = 1_000_000), memory MiB, CPU whole vCPUs as the cloud counts
// them, GPUs whole physical GPUs, bandwidth Mbps, storage GB (10^9 bytes, as EC2 states it).
package cloud
