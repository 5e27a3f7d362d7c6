package binpack

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The world in which bugs are planted: a bin, a gang, limits, stock, two groups, a closed offering, and a pod that is held.
const plantedWorld = `
resources cpu mem gpu*
limit     gpus 8
limit     cents 1000
policy    tolerance 500 choices 3
shape     small   3   14 1
shape     large  47  180 4
offering  small-a small $0.500 stock 3 charge gpus 1 charge cents 50
offering  small-b small $0.600 charge gpus 1 charge cents 60
offering  small-c small $0.550 closed Quota charge gpus 1 charge cents 55
offering  small-g small $0.550 group 1 charge gpus 1 charge cents 55
offering  large-a large $3.900 charge gpus 4 charge cents 390
bin       node-1 3 14 1
demand    a-infer x4  2 8 1 max 1 on small-a,small-b,node-1
demand    b-gang  x2  2 8 1 gang 1
demand    c-train x1 20 64 4
demand    d-giant x1  2 8 16
demand    e-more  x3  2 8 2 on large-a
`

func plantedPlan(t *testing.T) (Problem, Plan) {
	t.Helper()
	p, pol, err := parseStory(plantedWorld)
	if err != nil {
		t.Fatal(err)
	}
	plan := Solve(p, pol)
	if err := Check(p, plan); err != nil {
		t.Fatal(err)
	}
	return p, plan
}

func TestCheck_catches(t *testing.T) {
	nodeOf := func(p Problem, plan *Plan, demand string) *Node {
		for i := range plan.Nodes {
			for _, c := range plan.Nodes[i].Contents {
				if p.Demands[c.Demand].Name == demand {
					return &plan.Nodes[i]
				}
			}
		}
		t.Fatalf("no node holds %s:\n%s", demand, drawPlan(p, *plan))
		return nil
	}
	heldOf := func(p Problem, plan *Plan, demand string) *Held {
		for i := range plan.Held {
			if p.Demands[plan.Held[i].Demand].Name == demand {
				return &plan.Held[i]
			}
		}
		t.Fatalf("%s is not held:\n%s", demand, drawPlan(p, *plan))
		return nil
	}
	const smallA, smallB, smallC, smallG, largeA = 0, 1, 2, 3, 4
	for name, tc := range map[string]struct {
		plant func(p *Problem, plan *Plan)
		want  string
	}{
		"a pod is lost":            {func(_ *Problem, plan *Plan) { plan.Held = plan.Held[1:] }, "placed and"},
		"a copy too many":          {func(p *Problem, plan *Plan) { nodeOf(*p, plan, "c-train").Copies++ }, "the plan says"},
		"a bin is overfull":        {func(p *Problem, plan *Plan) { plan.Fills[0].Contents[0].Count++ }, "too much"},
		"a node is overfull":       {func(p *Problem, plan *Plan) { nodeOf(*p, plan, "c-train").Contents[0].Count += 2 }, "too much"},
		"too many share a node":    {func(p *Problem, plan *Plan) { nodeOf(*p, plan, "a-infer").Contents[0].Count = 2 }, "share a node"},
		"an offering is forbidden": {func(p *Problem, plan *Plan) { nodeOf(*p, plan, "a-infer").Offerings = []int{smallG} }, "may not be there"},
		"a choice is forbidden":    {func(p *Problem, plan *Plan) { p.Demands[0].Levels[0].Offerings[0] &^= 1 << smallB }, "may not be there"},
		"levels are mixed":         {splitLevels, "may not be there"},
		"groups are mixed":         {func(p *Problem, plan *Plan) { addChoice(nodeOf(*p, plan, "b-gang"), smallG) }, "another group"},
		"a closed one is bought":   {func(p *Problem, plan *Plan) { nodeOf(*p, plan, "b-gang").Offerings = []int{smallC} }, "closed"},
		"a choice comes twice":     {func(p *Problem, plan *Plan) { addChoice(nodeOf(*p, plan, "c-train"), largeA) }, "twice"},
		"choices are out of order": {func(p *Problem, plan *Plan) {
			p.Offerings[smallC].Closed = Open
			nodeOf(*p, plan, "b-gang").Offerings = []int{smallA, smallB, smallC}
		}, "ranks before"},
		"the limit is exceeded":    {func(p *Problem, plan *Plan) { p.Limits[0].Remaining-- }, "is exceeded"},
		"a choice exceeds a limit": {func(p *Problem, plan *Plan) { p.Limits[1].Remaining = plan.CostMicroUSDPerHour / 10_000 }, "is exceeded"},
		"stock is exceeded":        {func(p *Problem, plan *Plan) { p.Offerings[smallA].Stock = 1 }, "more of"},
		"a gang is torn":           {func(p *Problem, plan *Plan) { p.Demands[4].Gang = 1 }, "torn"},
		"the cost is wrong":        {func(p *Problem, plan *Plan) { plan.CostMicroUSDPerHour-- }, "the plan says"},
		"held for nothing":         {func(p *Problem, plan *Plan) { p.Limits[0].Remaining = 100 }, "has a place"},
		"room is left on a node": {func(p *Problem, plan *Plan) {
			heldOf(*p, plan, "e-more").Count++
			p.Demands[4].Count++
			p.Shapes[1].Capacity[2] = 6
		}, "has a place"},
		"the reason is wrong":       {func(p *Problem, plan *Plan) { heldOf(*p, plan, "d-giant").Reason = ReasonStockout }, "not Stockout"},
		"the limit is not named":    {func(p *Problem, plan *Plan) { heldOf(*p, plan, "e-more").Limit = -1 }, "with limit -1"},
		"another limit is named":    {func(p *Problem, plan *Plan) { heldOf(*p, plan, "e-more").Limit = 1 }, "not in the way"},
		"the resource is enough":    {func(p *Problem, plan *Plan) { heldOf(*p, plan, "d-giant").Resource = 0 }, "has enough cpu"},
		"the nearest is none":       {func(p *Problem, plan *Plan) { heldOf(*p, plan, "d-giant").Nearest = -1 }, "is nearest"},
		"failures are miscounted":   {func(p *Problem, plan *Plan) { heldOf(*p, plan, "d-giant").Failed[ReasonLimit]++ }, "failed on"},
		"held twice":                {func(p *Problem, plan *Plan) { plan.Held = append(plan.Held, plan.Held[0]) }, "again"},
		"a bin that does not exist": {func(p *Problem, plan *Plan) { plan.Fills[0].Bin = 9 }, "does not exist"},
		"an empty node":             {func(p *Problem, plan *Plan) { plan.Nodes[0].Contents = nil }, "wants copies"},
		"an offering out of range":  {func(p *Problem, plan *Plan) { plan.Nodes[0].Offerings = []int{9} }, "wants copies"},
		"apart pods share a node": {func(p *Problem, plan *Plan) {
			// The node of c-train has no room for another pod of 20 cpu, but there is for b-gang's.
			p.Demands[1].Apart = NewSet(5)
			p.Demands[1].Apart.Add(2)
			n := nodeOf(*p, plan, "c-train")
			n.Contents = append([]Content{{Demand: 1, Count: 1}}, n.Contents...)
		}, "must not share"},
		"apart by the other's word": {func(p *Problem, plan *Plan) {
			p.Demands[2].Apart = NewSet(5)
			p.Demands[2].Apart.Add(1)
			n := nodeOf(*p, plan, "c-train")
			n.Contents = append([]Content{{Demand: 1, Count: 1}}, n.Contents...)
		}, "must not share"},
		"room for too many": {func(p *Problem, plan *Plan) {
			expect(p, 1)
			nodeOf(*p, plan, "c-train").Expected = []Content{{5, 2}}
			plan.WorthMicroUSDPerHour = 2 * 88_636
		}, "are expected"},
		"no room": {func(p *Problem, plan *Plan) {
			expect(p, 20)
			nodeOf(*p, plan, "c-train").Expected = []Content{{5, 14}}
		}, "is short"},
		"room beside an apart one": {func(p *Problem, plan *Plan) {
			expect(p, 1)
			p.Demands[5].Apart = Set{1 << 2}
			nodeOf(*p, plan, "c-train").Expected = []Content{{5, 1}}
		}, "no room for f-hope, which"},
		"room of a wrong worth": {func(p *Problem, plan *Plan) {
			expect(p, 1)
			nodeOf(*p, plan, "c-train").Expected = []Content{{5, 1}}
		}, "is worth 88636, the plan says 0"},
		"room for who waits":      {func(p *Problem, plan *Plan) { nodeOf(*p, plan, "c-train").Expected = []Content{{0, 1}} }, "no expected demand"},
		"the expected are placed": {func(p *Problem, plan *Plan) { p.Demands[2].WorthMilli = 1 }, "nobody waits"},
		"the expected are held":   {func(p *Problem, plan *Plan) { p.Demands[3].WorthMilli = 1 }, "1 held of 0"},
		"worth out of range":      {func(p *Problem, plan *Plan) { p.Demands[3].WorthMilli = 1001 }, "outside 0..1000"},
		"a gang is expected":      {func(p *Problem, plan *Plan) { p.Demands[1].WorthMilli = 1 }, "are a gang"},
		"apart from itself":       {func(p *Problem, plan *Plan) { p.Demands[0].Apart = Set{1} }, "apart names"},
		"apart from nobody":       {func(p *Problem, plan *Plan) { p.Demands[0].Apart = Set{1 << 5} }, "apart names"},
		"a malformed problem":     {func(p *Problem, plan *Plan) { p.Demands[0].Count = 0 }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, plan := plantedPlan(t)
			tc.plant(&p, &plan)
			if err := Check(p, plan); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v\n%s", tc.want, err, drawPlan(p, plan))
			}
		})
	}
}

func addChoice(n *Node, offering int) { n.Offerings = append(n.Offerings, offering) }

// expect adds an expected demand to the planted world, index 5.
func expect(p *Problem, count int) {
	p.Demands = append(p.Demands, Demand{Name: "f-hope", Count: count, Size: Vector{2, 8, 0}, WorthMilli: 500, Levels: p.Demands[1].Levels})
}

// splitLevels makes each choice of a node allowed at a level of its own, so that no single level allows both.
func splitLevels(p *Problem, _ *Plan) {
	first, second := NewSet(5), NewSet(5)
	first.Add(0)
	second.Add(1)
	p.Demands[0].Levels = []Level{{first, p.Demands[0].Levels[0].Bins}, {second, p.Demands[0].Levels[0].Bins}}
}

// Choices are as many and as near in price as the policy says; Check does not know the policy.
func TestChoicesKeepThePolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, pol := everything.draw(t), drawPolicy(t)
		if fault := breaksPolicy(p, pol, Solve(p, pol)); fault != "" {
			t.Fatal(fault)
		}
	})
}

func TestChoicesKeepThePolicy_catches(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape s 4 1\noffering a s $1\noffering b s $1.05\noffering c s $3\ndemand d x1 1 1")
	if err != nil {
		t.Fatal(err)
	}
	pol := Policy{MaxChoices: 2, ToleranceMilli: 100}
	plan := Solve(p, pol)
	if fault := breaksPolicy(p, pol, plan); fault != "" || len(plan.Nodes) != 1 || len(plan.Nodes[0].Offerings) != 2 {
		t.Fatalf("two choices are within the policy: %q %+v", fault, plan.Nodes)
	}
	for name, offerings := range map[string][]int{"one too many": {0, 1, 1}, "too dear": {0, 2}} {
		t.Run(name, func(t *testing.T) {
			planted := plan
			planted.Nodes = []Node{plan.Nodes[0]}
			planted.Nodes[0].Offerings = offerings
			if breaksPolicy(p, pol, planted) == "" {
				t.Error("not caught")
			}
		})
	}
}

func breaksPolicy(p Problem, pol Policy, plan Plan) string {
	for _, n := range plan.Nodes {
		if len(n.Offerings) > max(1, pol.MaxChoices) {
			return fmt.Sprintf("%d choices, at most %d", len(n.Offerings), pol.MaxChoices)
		}
		first := p.Offerings[n.Offerings[0]].PriceMicroUSDPerHour
		for _, o := range n.Offerings[1:] {
			if price := p.Offerings[o].PriceMicroUSDPerHour; price*1000 > first*int64(1000+pol.ToleranceMilli) {
				return fmt.Sprintf("%d stands in for %d", price, first)
			}
		}
	}
	return ""
}

// Generated problems are only worth something if they hold pods for every reason and tear at every rule.
func TestGeneratorReachesEveryReason(t *testing.T) {
	var seen [NumReasons]int
	choices, fills, copies := 0, 0, 0
	gen := rapid.Custom(everything.draw)
	for seed := range 600 {
		p := gen.Example(seed)
		plan := Solve(p, Policy{MaxChoices: 3, ToleranceMilli: 200})
		for _, h := range plan.Held {
			seen[h.Reason]++
		}
		for _, n := range plan.Nodes {
			choices += len(n.Offerings) - 1
			copies += n.Copies - 1
		}
		fills += len(plan.Fills)
	}
	for r := ReasonConstraint; r < NumReasons; r++ {
		if seen[r] == 0 {
			t.Errorf("nothing was ever held for %s", r)
		}
	}
	if choices == 0 || fills == 0 || copies == 0 {
		t.Errorf("choices %d, fills %d, copies %d", choices, fills, copies)
	}
	t.Logf("held for %v, choices %d, fills %d, copies %d", seen, choices, fills, copies)
}

func FuzzStory(f *testing.F) {
	f.Add(plantedWorld)
	f.Add("resources cpu gpu*\nshape s 4 1\noffering o s $1\nbin b 1 1\ndemand d x3 1 1 gang 2 on o then *\npolicy choices 2 tolerance 5\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, pol, err := parseStory(text)
		if err != nil || len(p.Resources) > 12 || len(p.Offerings) > 20 || len(p.Demands) > 20 {
			return
		}
		for i := range p.Demands {
			if p.Demands[i].Count > 10_000 {
				return
			}
		}
		pol.Steps = min(max(pol.Steps, 0), 20_000)
		plan := Solve(p, pol)
		if err := Check(p, plan); err != nil {
			t.Fatalf("%v\n%s", err, drawPlan(p, plan))
		}
	})
}

func TestReasonString(t *testing.T) {
	want := "Open Constraint NoShape Limit Stockout Quota Outage Gang Unknown"
	var got []string
	for r := Open; r <= NumReasons; r++ {
		got = append(got, r.String())
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
