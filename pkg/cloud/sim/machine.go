package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Machine is a machine and its life, as it stands. Times that are zero will not come, or have not been decided.
type Machine struct {
	ID  string // i-0123456789abcdef0
	Key cloud.OfferingKey
	// ZoneID, SubnetID and PrivateIP are where it is; PrivateDNS is the name that EC2 gives it: ip-10-0-0-4.ec2.internal.
	ZoneID, SubnetID, PrivateIP, PrivateDNS string

	Choice FleetChoice      // what it was bought as
	Node   cloud.NodeConfig // what it registers with, where Choice has no user data
	Token  string
	Tags   map[string]string

	State       cloud.InstanceState
	StateReason string // why it ends or ended: Client.UserInitiatedShutdown, Server.SpotInstanceTermination

	LaunchedAt time.Time
	VisibleAt  time.Time // from when on the cloud's descriptions show it
	RunningAt  time.Time // planned or past
	JoinAt     time.Time // when it joins its cluster; zero: never
	GPUAt      time.Time // when its GPUs show; zero: never
	GPUs       int       // how many of them will show

	InterruptedAt  time.Time // when spot warned
	Deadline       time.Time // when spot takes it
	ShuttingDownAt time.Time
	TerminatedAt   time.Time
}

// Alive says whether the machine is pending or running.
func (m Machine) Alive() bool {
	return m.State == cloud.InstancePending || m.State == cloud.InstanceRunning
}

// ProviderID is the machine's name in a Node's spec.providerID.
func (m Machine) ProviderID() string { return "aws:///" + m.Key.Zone + "/" + m.ID }

// machine is a Machine with what the simulation keeps to itself.
type machine struct {
	Machine
	vCPUs    int
	shutDown time.Duration // from shutting-down to terminated
}

// copy answers a value that the caller may change.
func (m *machine) copy() Machine {
	answer := m.Machine
	answer.Tags = maps.Clone(m.Tags)
	return answer
}

// dice are a machine's own: they depend on the seed and its ordinal only.
func (c *Cloud) dice(ordinal int) *rand.Rand {
	return rand.New(rand.NewPCG(c.config.Seed, uint64(ordinal)))
}

func (d Delay) draw(dice *rand.Rand) time.Duration {
	share := dice.Float64() // drawn always, so that a change of one delay leaves the others as they are
	return d.Base + time.Duration(share*float64(d.Jitter))
}

// launch brings a machine into being. The caller has checked stock, quota and addresses.
func (c *Cloud) launch(choice FleetChoice, req FleetRequest) *machine {
	ordinal := c.launches
	c.launches++
	dice := c.dice(ordinal)
	t := c.types[choice.Key.InstanceType]
	subnet := c.subnets[choice.SubnetID]
	ip := subnet.take()
	m := &machine{vCPUs: t.VCPUs, Machine: Machine{
		ID: fmt.Sprintf("i-0%016x", dice.Uint64()), Key: choice.Key, ZoneID: subnet.ZoneID, SubnetID: subnet.ID,
		PrivateIP: ip.String(), PrivateDNS: privateDNS(ip, c.config.Region),
		Choice: choice, Node: req.Node, Token: req.Token, Tags: maps.Clone(req.Tags),
		State: cloud.InstancePending, LaunchedAt: c.now, GPUs: t.GPU.Count,
	}}
	for c.machines[m.ID] != nil {
		m.ID = fmt.Sprintf("i-0%016x", dice.Uint64())
	}
	c.plan(m, dice)

	c.machines[m.ID] = m
	c.order = append(c.order, m.ID)
	c.used[choice.Key]++
	c.usedVCPUs[c.quotaKey(choice.Key)] += m.vCPUs
	c.noticeState(m)
	c.agenda.push(m.RunningAt, func() { c.run(m) })
	c.launchedOne()
	return m
}

// plan draws when what will happen to a new machine. Faults that are on by now change it; later ones do not.
func (c *Cloud) plan(m *machine, dice *rand.Rand) {
	boot, visible := c.config.Boot.draw(dice), c.config.Visible.draw(dice)
	join, gpu := c.config.Join.draw(dice), c.config.GPU.draw(dice)
	m.shutDown = c.config.ShutDown.draw(dice)
	boot, _ = c.faults.delay(DelayBoot, m.Key, boot)
	join, joins := c.faults.delay(DelayJoin, m.Key, join)
	gpu, shows := c.faults.delay(DelayGPU, m.Key, gpu)
	m.VisibleAt, m.RunningAt = c.now.Add(visible), c.now.Add(boot)
	if !joins {
		return
	}
	m.JoinAt = m.RunningAt.Add(join)
	m.GPUs = max(0, m.GPUs-c.faults.missingGPUs(m.Key))
	if shows && m.GPUs > 0 {
		m.GPUAt = m.JoinAt.Add(gpu)
	}
}

func (c *Cloud) run(m *machine) {
	if m.State != cloud.InstancePending {
		return
	}
	m.State = cloud.InstanceRunning
	c.noticeState(m)
}

// shutDown begins a machine's end; a machine that is ending or ended stays as it is.
func (c *Cloud) shutDown(m *machine, reason string) {
	if !m.Alive() {
		return
	}
	m.State, m.StateReason, m.ShuttingDownAt = cloud.InstanceShuttingDown, reason, c.now
	c.noticeState(m)
	c.after(m.shutDown, func() { c.terminated(m) })
}

func (c *Cloud) terminated(m *machine) {
	m.State, m.TerminatedAt = cloud.InstanceTerminated, c.now
	c.used[m.Key]--
	c.usedVCPUs[c.quotaKey(m.Key)] -= m.vCPUs
	c.subnets[m.SubnetID].release(m.PrivateIP)
	c.noticeState(m)
	c.after(c.config.Remembrance, func() { c.forget(m.ID) })
}

func (c *Cloud) forget(id string) {
	delete(c.machines, id)
	for i, other := range c.order {
		if other == id {
			c.order = append(c.order[:i:i], c.order[i+1:]...)
			return
		}
	}
}

// Machines answers every machine, invisible and terminated ones too, oldest launch first. Terminated ones are forgotten
// after Config.Remembrance.
func (c *Cloud) Machines() []Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	answer := make([]Machine, 0, len(c.order))
	for _, id := range c.order {
		answer = append(answer, c.machines[id].copy())
	}
	return answer
}

// Machine answers one machine as Machines does.
func (c *Cloud) Machine(id string) (Machine, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	m, found := c.machines[id]
	if !found {
		return Machine{}, false
	}
	return m.copy(), true
}

// Tag adds tags to a machine; ErrGone if there is none.
func (c *Cloud) Tag(id string, tags map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	m, found := c.machines[id]
	if !found {
		return cloud.ErrGone
	}
	if m.Tags == nil {
		m.Tags = map[string]string{}
	}
	maps.Copy(m.Tags, tags)
	return nil
}

func (c *Cloud) terminate(id string) (before, after cloud.InstanceState, err error) {
	m, found := c.machines[id]
	if !found {
		return "", "", cloud.ErrGone
	}
	before = m.State
	c.shutDown(m, "Client.UserInitiatedShutdown")
	return before, m.State, nil
}

// TerminateMachine asks for the end of a machine, visible or not, and answers its state before and after. Asking for one
// that is ending or terminated changes nothing. ErrGone: the cloud knows of none.
func (c *Cloud) TerminateMachine(id string) (before, after cloud.InstanceState, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return c.terminate(id)
}
