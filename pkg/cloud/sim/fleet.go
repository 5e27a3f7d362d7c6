package sim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Errors of the cloud that the port has no word for: to its callers they are outages.
var (
	// ErrOutage: the cloud answers with an internal error; nothing happened.
	ErrOutage = errors.New("the cloud had an internal error")
	// ErrReplyLost: the call did what it was asked to, but its answer never arrived.
	ErrReplyLost = errors.New("the connection broke before the reply arrived")
)

// Strategy is how a fleet picks among its choices.
type Strategy string

// The strategies, in EC2's words.
const (
	Prioritized            Strategy = "prioritized"              // in the order of the choices
	LowestPrice            Strategy = "lowest-price"             // the cheapest with stock
	PriceCapacityOptimized Strategy = "price-capacity-optimized" // the cheapest of those with the deepest stock
)

// FleetChoice is an offering that a fleet may buy, and where it would stand.
type FleetChoice struct {
	Key      cloud.OfferingKey
	SubnetID string // empty: the zone's subnet with the most free addresses
	ImageID  string
	UserData string // what the machine boots with, decoded
	DiskGiB  int64  // of its largest volume; 0: the image's default
}

// FleetRequest asks for Count machines of any of the choices.
type FleetRequest struct {
	// Token makes the request idempotent; empty: it is not.
	Token string
	// Fingerprint stands for the content: a second request with the token and another fingerprint is ErrTokenReused.
	Fingerprint string
	Strategy    Strategy
	Choices     []FleetChoice
	Count       int // >= 1
	// AllOrNothing launches none where fewer than Count can be had.
	AllOrNothing bool
	Tags         map[string]string
	// ForgetFailures makes a token free again where nothing was launched. EC2 does not: it repeats its answer.
	ForgetFailures bool
	// Node is what the machines register with, where it was given as a value and not as user data.
	Node cloud.NodeConfig
}

// FleetResult is what was launched and why the rest was not.
type FleetResult struct {
	FleetID  string
	Machines []Machine
	Errors   []FleetError
}

// The codes of FleetError, as EC2 spells them.
const (
	CodeNoCapacity  = "InsufficientInstanceCapacity"
	CodeSpotQuota   = "MaxSpotInstanceCountExceeded"
	CodeVCPUQuota   = "VcpuLimitExceeded"
	CodeNoAddress   = "InsufficientFreeAddressesInSubnet"
	CodeUnsupported = "Unsupported"
)

// FleetError says why a choice was not bought.
type FleetError struct {
	Choice        FleetChoice
	Code, Message string
}

// fleetRecord is what a token stands for.
type fleetRecord struct {
	fingerprint string
	result      FleetResult
}

// CreateFleet buys machines at once, as EC2's fleets of type instant do. A repeated token answers what the first call
// answered, with the machines as they are now. Errors: ErrTokenReused; ErrReplyLost, after having launched.
func (c *Cloud) CreateFleet(req FleetRequest) (FleetResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return c.createFleet(req)
}

func (c *Cloud) createFleet(req FleetRequest) (FleetResult, error) {
	if record, known := c.tokens[req.Token]; known && req.Token != "" && !c.faults.tokensIgnored(c.now) {
		if record.fingerprint != req.Fingerprint {
			return FleetResult{}, cloud.ErrTokenReused
		}
		return c.refreshed(record.result), nil
	}
	before := c.launches
	result := c.fill(req)
	result.FleetID = fmt.Sprintf("fleet-%016x", c.dice(-1-before).Uint64())
	if len(result.Machines) > 0 || !req.ForgetFailures {
		c.tokens[req.Token] = fleetRecord{fingerprint: req.Fingerprint, result: result}
	}
	for n := before + 1; n <= c.launches; n++ {
		if c.faults.loses(n) {
			return FleetResult{}, ErrReplyLost
		}
	}
	return result, nil
}

// refreshed answers a remembered result with the machines' present state.
func (c *Cloud) refreshed(r FleetResult) FleetResult {
	r.Machines = slices.Clone(r.Machines)
	for i, m := range r.Machines {
		if known, found := c.machines[m.ID]; found {
			r.Machines[i] = known.copy()
		} else {
			r.Machines[i].State = cloud.InstanceTerminated
		}
	}
	return r
}

// fill tries the choices in the strategy's order until there are enough machines.
func (c *Cloud) fill(req FleetRequest) FleetResult {
	var result FleetResult
	var picks []FleetChoice
	taken := map[cloud.OfferingKey]int{}
	vCPUs := map[QuotaKey]int{}
	for _, choice := range c.ranked(req) {
		for len(picks) < req.Count {
			choice, refused := c.consider(choice, taken, vCPUs)
			if refused != nil {
				result.Errors = append(result.Errors, *refused)
				break
			}
			picks = append(picks, choice)
			taken[choice.Key]++
			vCPUs[c.quotaKey(choice.Key)] += c.types[choice.Key.InstanceType].VCPUs
		}
	}
	if req.AllOrNothing && len(picks) < req.Count {
		return result
	}
	for _, choice := range picks {
		result.Machines = append(result.Machines, c.launch(choice, req).copy())
	}
	return result
}

// consider answers the choice with its subnet, or why it cannot be bought on top of what is taken already.
func (c *Cloud) consider(f FleetChoice, taken map[cloud.OfferingKey]int, vCPUs map[QuotaKey]int) (FleetChoice, *FleetError) {
	refuse := func(code, format string, args ...any) (FleetChoice, *FleetError) {
		return f, &FleetError{Choice: f, Code: code, Message: fmt.Sprintf(format, args...)}
	}
	if _, offered := c.offerings[f.Key]; !offered {
		return refuse(CodeUnsupported, "Your requested instance type (%s) is not supported in your requested Availability Zone (%s).",
			f.Key.InstanceType, f.Key.Zone)
	}
	quota := c.quotaKey(f.Key)
	if limit, limited := c.quotas[quota]; limited && limit != Unlimited &&
		c.usedVCPUs[quota]+vCPUs[quota]+c.types[f.Key.InstanceType].VCPUs > limit {
		if f.Key.Market == cloud.Spot {
			return refuse(CodeSpotQuota, "Max spot instance count exceeded")
		}
		return refuse(CodeVCPUQuota, "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance "+
			"bucket that the specified instance type belongs to.", limit)
	}
	if free := c.free(f.Key); free != Unlimited && free <= taken[f.Key] {
		return refuse(CodeNoCapacity, "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s).",
			f.Key.InstanceType, f.Key.Zone)
	}
	subnet := c.subnetFor(f)
	if subnet == nil {
		return refuse(CodeNoAddress, "There are not enough free addresses in a subnet of %s to satisfy the requested number of instances.",
			f.Key.Zone)
	}
	f.SubnetID = subnet.ID
	return f, nil
}

// ranked answers the choices in the order in which the strategy tries them. Equal ones keep the order of the request.
func (c *Cloud) ranked(req FleetRequest) []FleetChoice {
	choices := slices.Clone(req.Choices)
	price := func(f FleetChoice) int64 { return c.offerings[f.Key].PriceMicroUSDPerHour }
	switch req.Strategy {
	case LowestPrice:
		slices.SortStableFunc(choices, func(a, b FleetChoice) int { return cmp.Compare(price(a), price(b)) })
	case PriceCapacityOptimized:
		slices.SortStableFunc(choices, func(a, b FleetChoice) int {
			return cmp.Or(cmp.Compare(c.shallow(a.Key), c.shallow(b.Key)), cmp.Compare(price(a), price(b)))
		})
	}
	return choices
}

// shallow is 1 where so little stock is left that EC2 would expect to interrupt soon, 0 elsewhere. What has none is tried
// in its turn, so that the answer says that it has none.
func (c *Cloud) shallow(key cloud.OfferingKey) int {
	const deep = 3
	if free := c.free(key); free > 0 && free < deep {
		return 1
	}
	return 0
}

// free is the stock that is left: Unlimited, or >= 0.
func (c *Cloud) free(key cloud.OfferingKey) int {
	if _, offered := c.offerings[key]; !offered || c.faults.outOfStock(key, c.now) {
		return 0
	}
	stock := c.stock[key]
	if stock == Unlimited {
		return Unlimited
	}
	return max(0, stock-c.used[key]) // stock may have been cut below what runs
}

func (c *Cloud) quotaKey(key cloud.OfferingKey) QuotaKey {
	market := key.Market
	if market == cloud.Reserved {
		market = cloud.OnDemand // EC2 counts reserved capacity as on-demand
	}
	return QuotaKey{Market: market, Bucket: cloud.QuotaBucket(key.InstanceType)}
}

// Free answers the stock that is left of an offering: Unlimited, or >= 0; 0 for what is not offered.
func (c *Cloud) Free(key cloud.OfferingKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return c.free(key)
}

// QuotaVCPUs answers a quota in vCPUs, or Unlimited.
func (c *Cloud) QuotaVCPUs(key QuotaKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	if limit, limited := c.quotas[key]; limited {
		return limit
	}
	return Unlimited
}

// UsedVCPUs answers the vCPUs that count against each quota.
func (c *Cloud) UsedVCPUs() map[QuotaKey]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return maps.Clone(c.usedVCPUs)
}
