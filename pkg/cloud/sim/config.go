package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Unlimited is a stock or a quota that never ends.
const Unlimited = -1

// Defaults that a zero field of Config stands for.
const (
	DefaultNoticeLead  = 2 * time.Minute  // between a spot interruption warning and its deadline
	DefaultVisibility  = 30 * time.Second // until an unacknowledged message comes again
	DefaultLongPoll    = 20 * time.Second // longest wait of Receive
	DefaultRemembrance = time.Hour        // terminated machines are still described for so long
)

// Delay is a duration drawn evenly from Base up to, and without, Base+Jitter.
type Delay struct{ Base, Jitter time.Duration }

// QuotaKey names an account quota: EC2 counts vCPUs per market and group of families (see Bucket).
type QuotaKey struct {
	Market cloud.Market
	Bucket string
}

// Config is what a simulated region is made of. Now, ClusterName, Types and Offerings are required.
type Config struct {
	Seed uint64
	// Now is the clock. It must not go back.
	Now func() time.Time
	// Wait pauses until d has passed, wake is closed or ctx ends, whichever is first, and answers ctx's error in the last
	// case. Receive uses it for its long poll; nil means that Receive answers at once.
	Wait func(ctx context.Context, d time.Duration, wake <-chan struct{}) error

	Region      string // default us-east-1
	ClusterName string
	Types       []cloud.InstanceType
	Offerings   []cloud.Offering

	// Stock is how many machines of an offering can run at once, or Unlimited; DefaultStock holds where Stock has no entry,
	// and its zero means Unlimited.
	Stock        map[cloud.OfferingKey]int
	DefaultStock int
	// Quotas are in vCPUs, or Unlimited, which is also meant by a missing entry.
	Quotas map[QuotaKey]int

	Network Network // empty: DefaultNetwork of the cluster name and the zones of Offerings

	Boot     Delay // launched → running
	Visible  Delay // launched → seen by Instance and Instances
	Join     Delay // running → joins the cluster
	GPU      Delay // joined → its GPUs are seen
	ShutDown Delay // shutting-down → terminated

	NoticeLead  time.Duration
	Visibility  time.Duration
	LongPoll    time.Duration
	Remembrance time.Duration
	// QuietStates leaves out the notices of state changes that EC2 sends for every machine of the account.
	QuietStates bool
	// IgnoreTokens makes every launch a new one, as a cloud (or a proxy) that drops the client token does.
	IgnoreTokens bool

	// Script is what goes wrong and when; its times count from New. See Parse.
	Script []Fault
}

// Validate answers every contradiction of the Config at once.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.Now != nil, "Now is required")
	need(c.ClusterName != "", "ClusterName is required")
	need(len(c.Types) > 0 && len(c.Offerings) > 0, "Types and Offerings are required")
	need(c.DefaultStock >= Unlimited, "DefaultStock is %d; want Unlimited (-1) or more", c.DefaultStock)
	for _, d := range []struct {
		name  string
		delay Delay
	}{{"Boot", c.Boot}, {"Visible", c.Visible}, {"Join", c.Join}, {"GPU", c.GPU}, {"ShutDown", c.ShutDown}} {
		need(d.delay.Base >= 0 && d.delay.Jitter >= 0, "%s is negative", d.name)
	}
	for _, d := range []time.Duration{c.NoticeLead, c.Visibility, c.LongPoll, c.Remembrance} {
		need(d >= 0, "NoticeLead, Visibility, LongPoll and Remembrance must not be negative")
	}
	errs = append(errs, c.validateOfferings()...)
	errs = append(errs, c.Network.validate()...)
	return errors.Join(errs...)
}

func (c Config) validateOfferings() []error {
	var errs []error
	types := map[string]bool{}
	for _, t := range c.Types {
		if types[t.Name] {
			errs = append(errs, fmt.Errorf("instance type %s is listed twice", t.Name))
		}
		types[t.Name] = true
		if t.VCPUs <= 0 || t.MemoryMiB <= 0 {
			errs = append(errs, fmt.Errorf("instance type %s: vCPUs and memory must be positive", t.Name))
		}
	}
	seen := map[cloud.OfferingKey]bool{}
	for _, o := range c.Offerings {
		switch {
		case !types[o.InstanceType]:
			errs = append(errs, fmt.Errorf("offering %s: its instance type is not in Types", o.OfferingKey))
		case o.PriceMicroUSDPerHour <= 0:
			errs = append(errs, fmt.Errorf("offering %s: its price must be positive", o.OfferingKey))
		case seen[o.OfferingKey]:
			errs = append(errs, fmt.Errorf("offering %s is listed twice", o.OfferingKey))
		}
		seen[o.OfferingKey] = true
	}
	for _, k := range slices.SortedFunc(maps.Keys(c.Stock), cloud.OfferingKey.Compare) {
		if !seen[k] {
			errs = append(errs, fmt.Errorf("stock of %s: there is no such offering", k))
		}
		if c.Stock[k] < Unlimited {
			errs = append(errs, fmt.Errorf("stock of %s is %d; want Unlimited (-1) or more", k, c.Stock[k]))
		}
	}
	return errs
}

// withDefaults fills the zero fields and copies what the Cloud will change.
func (c Config) withDefaults() Config {
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.NoticeLead = cmp.Or(c.NoticeLead, DefaultNoticeLead)
	c.Visibility = cmp.Or(c.Visibility, DefaultVisibility)
	c.LongPoll = cmp.Or(c.LongPoll, DefaultLongPoll)
	c.Remembrance = cmp.Or(c.Remembrance, DefaultRemembrance)
	c.DefaultStock = cmp.Or(c.DefaultStock, Unlimited)
	c.Types = slices.SortedFunc(slices.Values(c.Types), func(a, b cloud.InstanceType) int { return cmp.Compare(a.Name, b.Name) })
	c.Offerings = slices.SortedFunc(slices.Values(c.Offerings), func(a, b cloud.Offering) int { return a.Compare(b.OfferingKey) })
	if len(c.Network.Subnets) == 0 {
		c.Network = DefaultNetwork(c.ClusterName, c.Offerings)
	}
	return c
}
