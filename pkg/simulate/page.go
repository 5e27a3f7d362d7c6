package simulate

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// The page before and after what is drawn: style and script, which hold nothing of a user's.
var (
	//go:embed page.head.html
	pageHead string
	//go:embed page.tail.html
	pageTail string
)

// page is a Result as it is drawn.
type page struct {
	Result
	Cost, Bound string // in cents
	// BoundShare is how much of the cost is proven to be necessary, in percent; 0: nothing is known.
	BoundShare float64
	Gap        bool  // the cost is not proven to be the least
	UsedShare  int64 // of the GPUs, in percent
	Kinds      []kindRow
	Workloads  []*drawnWorkload
	Drawn      []drawnNode
	There      []drawnNode
	HeldRows   []heldRow
}

// kindRow sums up the nodes of one type and market.
type kindRow struct {
	Type, Market, GPU string
	Nodes             int
	Used, GPUs        int64
	Cost              string
	micro             int64
	Share             float64 // of the most expensive row, in percent
	Zones             string
	zones             []string
}

// drawnWorkload has a letter and a colour, which is told from others also by those who see no colours: by letter and pattern.
type drawnWorkload struct {
	Name, Code      string
	Colour, Pattern int
	Placed, Held    int
	GPUs            int64 // in use by placed pods
}

// drawnNode is one kind of node with its GPUs as blocks.
type drawnNode struct {
	NodeGroup
	Name     string // of an existing node
	OnItsWay bool
	Each     string // price of one, in cents
	All      string
	Blocks   []block
	CPU, RAM bar
	Codes    string // of the workloads, separated by blanks, for the highlight
	Text     string // what the filter looks at, in small letters
}

// block is the GPUs of one pod, or those that are free or taken by others.
type block struct {
	Span int64
	// Kind is pod, free or taken.
	Kind string
	*drawnWorkload
}

// bar is the fill of a resource in percent.
type bar struct {
	Daemons, Pods int64
	Text          string
}

// heldRow is a row of the table of held pods.
type heldRow struct {
	HeldPods
	*drawnWorkload
}

// Further are the misses besides the nearest, which the message tells of.
func (h heldRow) Further() []Miss {
	if len(h.Misses) < 2 {
		return nil
	}
	return h.Misses[1:]
}

const (
	colours  = 7
	patterns = 4
)

func (r *Result) page() *page {
	p := &page{Result: *r, Cost: cents(r.Summary.CostPerHour), Bound: cents(r.Summary.LowerBoundPerHour)}
	if r.Summary.GapPercent != nil {
		p.Gap = *r.Summary.GapPercent > 0
		p.BoundShare = 100 / (1 + *r.Summary.GapPercent/100)
	}
	if r.Summary.GPUs > 0 {
		p.UsedShare = r.Summary.GPUsUsed * 100 / r.Summary.GPUs
	}
	workloads := p.legend()
	for _, n := range r.Nodes {
		p.Drawn = append(p.Drawn, drawn(n, 0, workloads))
	}
	for _, x := range r.Existing {
		d := drawn(NodeGroup{Copies: 1, InstanceType: x.InstanceType, Zone: x.Zone, GPU: x.GPU, Pods: x.Pods}, x.taken(), workloads)
		d.Name, d.OnItsWay = x.Name, x.OnItsWay
		p.There = append(p.There, d)
	}
	for _, h := range r.Held {
		p.HeldRows = append(p.HeldRows, heldRow{h, workloads[h.Workload]})
	}
	p.kinds()
	return p
}

// legend gives each workload a letter and a colour: those with the most GPUs first, so that they get the plain colours.
func (p *page) legend() map[string]*drawnWorkload {
	all := map[string]*drawnWorkload{}
	of := func(name string) *drawnWorkload {
		if all[name] == nil {
			all[name] = &drawnWorkload{Name: name}
		}
		return all[name]
	}
	count := func(list []Content, copies int) {
		for _, c := range list {
			w := of(c.Workload)
			w.Placed += c.Pods * copies
			w.GPUs += c.GPUs * int64(c.Pods*copies)
		}
	}
	for _, n := range p.Nodes {
		count(n.Pods, n.Copies)
	}
	for _, x := range p.Existing {
		count(x.Pods, 1)
	}
	for _, h := range p.Held {
		of(h.Workload).Held += h.Pods
	}
	p.Workloads = slices.SortedFunc(maps.Values(all), func(a, b *drawnWorkload) int {
		return cmp.Or(cmp.Compare(b.GPUs, a.GPUs), strings.Compare(a.Name, b.Name))
	})
	for i, w := range p.Workloads {
		w.Code, w.Colour, w.Pattern = code(i), i%colours, i/colours%patterns
	}
	return all
}

// code is A to Z, then AA, AB, ...
func code(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return code(i/26-1) + code(i%26)
}

// drawn lays out a node's GPUs: a block for each pod, then what others have, then what is free.
func drawn(n NodeGroup, taken int64, workloads map[string]*drawnWorkload) drawnNode {
	d := drawnNode{NodeGroup: n, Each: cents(n.PricePerHour), All: cents(n.CostPerHour), CPU: n.CPUMilli.bar(cores), RAM: n.MemoryMiB.bar(gibibytes)}
	var codes []string
	free := n.GPU.Count - taken
	for _, c := range n.Pods {
		w := workloads[c.Workload]
		codes = append(codes, w.Code)
		for range c.Pods {
			if c.GPUs > 0 {
				d.Blocks = append(d.Blocks, block{c.GPUs, "pod", w})
			}
			free -= c.GPUs
		}
	}
	for range taken {
		d.Blocks = append(d.Blocks, block{Span: 1, Kind: "taken"})
	}
	for range max(0, free) {
		d.Blocks = append(d.Blocks, block{Span: 1, Kind: "free"})
	}
	d.Codes = strings.Join(codes, " ")
	words := []string{n.InstanceType, n.Zone, n.Market, n.Provisioner, n.GPU.Name}
	for _, c := range n.Pods {
		words = append(words, c.Workload)
	}
	d.Text = strings.ToLower(strings.Join(words, " "))
	return d
}

func (x Existing) taken() int64 {
	taken := x.GPU.Used
	for _, c := range x.Pods {
		taken -= int64(c.Pods) * c.GPUs
	}
	return max(0, taken)
}

func (f Fill) bar(show func(int64) string) bar {
	if f.Capacity <= 0 {
		return bar{Text: "not known"}
	}
	share := func(n int64) int64 { return min(100, (n*100+f.Capacity/2)/f.Capacity) }
	daemons := share(f.Daemons)
	return bar{Daemons: daemons, Pods: min(100-daemons, share(f.Pods)), Text: show(f.Daemons+f.Pods) + " of " + show(f.Capacity)}
}

func cores(milli int64) string   { return fmt.Sprintf("%.4g", float64(milli)/1000) }
func gibibytes(mib int64) string { return fmt.Sprintf("%.0f GiB", float64(mib)/1024) }

// kinds sums up the nodes by type and market, the most money first.
func (p *page) kinds() {
	rows := map[[2]string]*kindRow{}
	for _, n := range p.Nodes {
		key := [2]string{n.InstanceType, n.Market}
		if rows[key] == nil {
			rows[key] = &kindRow{Type: n.InstanceType, Market: n.Market, GPU: n.GPU.Name}
		}
		row := rows[key]
		micro, _ := cloud.ParseDollars(n.CostPerHour) // Describe wrote it
		row.micro += micro
		row.Nodes += n.Copies
		row.Used += n.GPU.Used * int64(n.Copies)
		row.GPUs += n.GPU.Count * int64(n.Copies)
		if !slices.Contains(row.zones, n.Zone) {
			row.zones = append(row.zones, n.Zone)
		}
	}
	for _, row := range rows {
		slices.Sort(row.zones)
		row.Cost, row.Zones = cents(cloud.FormatDollars(row.micro)), strings.Join(row.zones, ", ")
		p.Kinds = append(p.Kinds, *row)
	}
	slices.SortFunc(p.Kinds, func(a, b kindRow) int {
		return cmp.Or(cmp.Compare(b.micro, a.micro), strings.Compare(a.Type, b.Type), strings.Compare(a.Market, b.Market))
	})
	for i := range p.Kinds {
		if most := p.Kinds[0].micro; most > 0 {
			p.Kinds[i].Share = float64(p.Kinds[i].micro) * 100 / float64(most)
		}
	}
}

// cents rounds dollars to cents, with a comma between thousands; small amounts keep a tenth of a cent.
func cents(text string) string {
	micro, err := cloud.ParseDollars(text)
	if err != nil {
		return ""
	}
	if micro < cloud.MicroUSD {
		return "$" + fmt.Sprintf("%.3f", float64(micro)/cloud.MicroUSD)
	}
	whole, rest := (micro+5000)/cloud.MicroUSD, (micro+5000)%cloud.MicroUSD/10_000
	digits := fmt.Sprint(whole)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return fmt.Sprintf("$%s.%02d", digits, rest)
}
