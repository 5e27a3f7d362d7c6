package sim

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Cloud is a simulated region of one account. It is safe for concurrent use.
type Cloud struct {
	mu     sync.Mutex
	config Config
	now    time.Time // the time up to which everything is settled
	start  time.Time
	agenda agenda

	types     map[string]cloud.InstanceType
	offerings map[cloud.OfferingKey]cloud.Offering
	stock     map[cloud.OfferingKey]int // Unlimited or >= 0
	used      map[cloud.OfferingKey]int // machines that hold stock; never negative
	quotas    map[QuotaKey]int
	usedVCPUs map[QuotaKey]int
	subnets   map[string]*subnetState

	machines map[string]*machine
	order    []string // machine IDs, oldest launch first
	launches int      // machines launched since New, the forgotten ones included
	tokens   map[string]fleetRecord

	queue   queue
	faults  faults
	journal journal
}

var (
	_ cloud.Catalog      = (*Cloud)(nil)
	_ cloud.Templates    = (*Cloud)(nil)
	_ cloud.Fleet        = (*Cloud)(nil)
	_ cloud.NoticeSource = (*Cloud)(nil)
)

// New answers a cloud without machines. Its script starts to count now.
func New(config Config) (*Cloud, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("checking the simulated cloud's configuration: %w", err)
	}
	config = config.withDefaults()
	now := config.Now()
	c := &Cloud{
		config: config, now: now, start: now,
		types: map[string]cloud.InstanceType{}, offerings: map[cloud.OfferingKey]cloud.Offering{},
		stock: map[cloud.OfferingKey]int{}, used: map[cloud.OfferingKey]int{},
		quotas: maps.Clone(config.Quotas), usedVCPUs: map[QuotaKey]int{},
		subnets: map[string]*subnetState{}, machines: map[string]*machine{}, tokens: map[string]fleetRecord{},
		queue: newQueue(), journal: newJournal(),
	}
	if c.quotas == nil {
		c.quotas = map[QuotaKey]int{}
	}
	for _, t := range config.Types {
		c.types[t.Name] = t
	}
	for _, o := range config.Offerings {
		c.offerings[o.OfferingKey] = o
		c.stock[o.OfferingKey] = config.DefaultStock
	}
	maps.Copy(c.stock, config.Stock)
	for i, s := range config.Network.Subnets {
		c.subnets[s.ID] = &subnetState{Subnet: s, ordinal: i}
	}
	c.faults.ignoreTokens = config.IgnoreTokens
	for _, f := range config.Script {
		c.arm(f)
	}
	c.settle()
	return c, nil
}

// Now is the cloud's clock.
func (c *Cloud) Now() time.Time { return c.config.Now() }

// Next answers when something is due that no call has settled yet; false if nothing is.
func (c *Cloud) Next() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return c.agenda.next()
}

// Settle brings the cloud up to its clock. Every other call does so by itself.
func (c *Cloud) Settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
}

// Inject arms one more fault, as if it had been the next line of the script, but counted from now.
func (c *Cloud) Inject(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	c.arm(f)
	c.settle()
}

// settle plays everything that has fallen due, in the order of its time. Each thing sees the time it was due at, so the
// outcome does not depend on how often the cloud is asked.
func (c *Cloud) settle() {
	until := c.config.Now()
	for {
		at, due := c.agenda.next()
		if !due || at.After(until) {
			break
		}
		if at.After(c.now) {
			c.now = at
		}
		c.agenda.pop()()
	}
	if until.After(c.now) {
		c.now = until
	}
}

// after plans do for d from the settled time.
func (c *Cloud) after(d time.Duration, do func()) { c.agenda.push(c.now.Add(d), do) }
