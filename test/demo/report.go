package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// report is what bin/demo-report.json holds.
type report struct {
	PodsPlaced     int       `json:"podsPlaced"` // pods that were bound to a node
	PodsHeld       []heldPod `json:"podsHeld"`   // when the rush had settled
	GPUsMax        int       `json:"gpusMax"`    // of all machines alive or shutting down at one time
	GPULimit       int64     `json:"gpuLimit"`
	NodesLaunched  int       `json:"nodesLaunched"`
	NodesLeft      int       `json:"nodesLeft"` // machines and Nodes at the end
	CostPerHourMax float64   `json:"costPerHourMax"`
	// PendingToLaunch is from a pod being found unschedulable to the CreateFleet of its node reaching EC2; PendingToBound to its binding.
	// PendingToPlan is to the claim's creation.
	PendingToPlan   quantiles      `json:"pendingToPlanSeconds"`
	PendingToLaunch quantiles      `json:"pendingToLaunchSeconds"`
	PendingToBound  quantiles      `json:"pendingToBoundSeconds"`
	Interruptions   []interruption `json:"interruptions"`
	EC2Calls        map[string]int `json:"ec2Calls"`
	Nodes           []nodeRow      `json:"nodes"` // when the rush had settled
}

type heldPod struct {
	Pod     string `json:"pod"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type quantiles struct {
	Pods int     `json:"pods"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
}

// interruption is a spot notice and what came of it, in seconds after it was sent.
type interruption struct {
	Instance         string  `json:"instance"`
	Node             string  `json:"node"`
	Replacement      string  `json:"replacement"` // the claim
	FencedSeconds    float64 `json:"fencedSeconds"`
	ReplacedSeconds  float64 `json:"replacementClaimSeconds"`
	RecoveredSeconds float64 `json:"recoveredSeconds"` // its pods ran again, and the machine was gone

	at, fenced, replaced time.Time
}

func (i *interruption) seconds() {
	i.FencedSeconds = round(i.fenced.Sub(i.at).Seconds())
	i.ReplacedSeconds = round(i.replaced.Sub(i.at).Seconds())
	i.RecoveredSeconds = round(time.Since(i.at).Seconds())
}

// nodeRow is nodes of one type, zone and market.
type nodeRow struct {
	Type        string  `json:"type"`
	Zone        string  `json:"zone"`
	Market      string  `json:"market"`
	Nodes       int     `json:"nodes"`
	CostPerHour float64 `json:"costPerHour"` // of all of them
	GPUsUsed    int64   `json:"gpusUsed"`
	GPUs        int64   `json:"gpus"`
}

// nodeRows counts the nodes and what is used of them, from the API server.
func (s *story) nodeRows(ctx context.Context) ([]nodeRow, error) {
	var nodes corev1.NodeList
	var pods corev1.PodList
	var claims v1alpha1.NodeClaimList
	for _, list := range []client.ObjectList{&nodes, &pods, &claims} {
		if err := s.watch.client.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	used := map[string]int64{}
	for _, pod := range pods.Items {
		if pod.Status.Phase == corev1.PodRunning || pod.Status.Phase == corev1.PodPending {
			for _, c := range pod.Spec.Containers {
				used[pod.Spec.NodeName] += c.Resources.Limits.Name(v1alpha1.ResourceGPU, "").Value()
			}
		}
	}
	gpus := map[string]int64{}
	for _, n := range nodes.Items {
		gpus[n.Name] = n.Status.Allocatable.Name(v1alpha1.ResourceGPU, "").Value()
	}
	rows := map[string]*nodeRow{}
	for _, c := range claims.Items {
		key := c.Status.InstanceType + c.Status.Zone + c.Spec.Market
		if rows[key] == nil {
			rows[key] = &nodeRow{Type: c.Status.InstanceType, Zone: c.Status.Zone, Market: c.Spec.Market}
		}
		price, err := cloud.ParseDollars(c.Status.PricePerHour)
		if err != nil {
			return nil, fmt.Errorf("reading the price of claim %s: %w", c.Name, err)
		}
		r := rows[key]
		r.Nodes++
		r.CostPerHour = round(r.CostPerHour + float64(price)/cloud.MicroUSD)
		r.GPUs += gpus[c.Status.NodeName]
		r.GPUsUsed += used[c.Status.NodeName]
	}
	var list []nodeRow
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, *rows[key])
	}
	return list, nil
}

func (s *story) report() (*report, error) {
	journal, err := s.stage.Journal()
	if err != nil {
		return nil, err
	}
	lives := s.watch.lives()
	claims, _ := s.watch.allClaims()
	launchedAt := map[string]time.Time{}
	for _, l := range journal.Launches {
		name := l.Tags["slipway.sh/claim"]
		if _, known := launchedAt[name]; !known {
			launchedAt[name] = l.At
		}
	}
	r := &report{PodsHeld: s.held, Interruptions: s.interruptions, EC2Calls: journal.Calls, Nodes: s.nodesThen, NodesLaunched: len(journal.Instances)}
	var toPlan, toLaunch, toBound []float64
	for _, c := range claims {
		for _, ref := range c.Spec.Pods {
			// Pods that ran when their replacement was bought were never pending for it.
			life, known := lives[ref.UID]
			if at := launchedAt[c.Name]; known && !at.IsZero() && !life.pendingAt.IsZero() && (life.boundAt.IsZero() || at.Before(life.boundAt)) {
				toPlan = append(toPlan, s.watch.seenAt(c.Name).Sub(life.pendingAt).Seconds())
				toLaunch = append(toLaunch, at.Sub(life.pendingAt).Seconds())
			}
		}
	}
	r.PendingToPlan = quantilesOf(toPlan)
	for _, life := range lives {
		if life.everPlaced {
			r.PodsPlaced++
			if !life.pendingAt.IsZero() { // else it was bound at the first try
				toBound = append(toBound, life.boundAt.Sub(life.pendingAt).Seconds())
			}
		}
	}
	r.PendingToLaunch, r.PendingToBound = quantilesOf(toLaunch), quantilesOf(toBound)
	r.GPUsMax = mostGPUs(journal.Instances)
	for _, i := range journal.Instances {
		if alive(i) {
			r.NodesLeft++
		}
	}
	s.watch.mu.Lock()
	r.CostPerHourMax = round(float64(s.watch.most) / cloud.MicroUSD)
	s.watch.mu.Unlock()
	return r, s.fromCluster(r)
}

// fromCluster adds what only the API server knows.
func (s *story) fromCluster(r *report) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var p v1alpha1.Provisioner
	if err := s.watch.client.Get(ctx, client.ObjectKey{Name: "gpu"}, &p); err != nil {
		return fmt.Errorf("reading the Provisioner: %w", err)
	}
	limit := p.Spec.Limits[v1alpha1.LimitGPU]
	r.GPULimit = limit.Value()
	var nodes corev1.NodeList
	if err := s.watch.client.List(ctx, &nodes); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	r.NodesLeft = max(r.NodesLeft, len(nodes.Items))
	return nil
}

func alive(i wire.Instance) bool { return i.State != string(cloud.InstanceTerminated) }

// mostGPUs answers the most GPUs that machines had at one time, from launch to termination, by EC2's own record of their lives.
func mostGPUs(instances []wire.Instance) int {
	type change struct {
		at   time.Time
		gpus int
	}
	var changes []change
	for _, i := range instances {
		changes = append(changes, change{i.LaunchedAt, i.GPUs})
		if !i.TerminatedAt.IsZero() {
			changes = append(changes, change{i.TerminatedAt, -i.GPUs})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.gpus, b.gpus)) })
	most, now := 0, 0
	for _, c := range changes {
		now += c.gpus
		most = max(most, now)
	}
	return most
}

// quantilesOf answers the nearest-rank quantiles.
func quantilesOf(seconds []float64) quantiles {
	if len(seconds) == 0 {
		return quantiles{}
	}
	slices.Sort(seconds)
	at := func(q float64) float64 { return round(seconds[int(math.Ceil(q*float64(len(seconds))))-1]) }
	return quantiles{Pods: len(seconds), P50: at(0.50), P99: at(0.99)}
}

func round(x float64) float64 { return math.Round(x*1000) / 1000 }

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\n== nodes when the rush had settled")
	fmt.Fprintln(w, "TYPE\tZONE\tMARKET\tNODES\tGPUs USED/TOTAL\t$/h\t")
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d/%d\t%.3f\t\n", n.Type, n.Zone, n.Market, n.Nodes, n.GPUsUsed, n.GPUs, n.CostPerHour)
	}
	_ = w.Flush() // out is the terminal
	fmt.Fprintln(out, "\n== held when the rush had settled, each for one reason")
	byMessage := map[string][]string{}
	for _, h := range r.PodsHeld {
		key := h.Reason + ": " + h.Message
		byMessage[key] = append(byMessage[key], h.Pod)
	}
	for _, key := range slices.Sorted(maps.Keys(byMessage)) {
		pods := byMessage[key]
		fmt.Fprintf(out, "  %d x %s (%s)\n", len(pods), key, strings.Join(pods[:min(len(pods), 3)], ", "))
	}
	fmt.Fprintln(out, "\n== in numbers")
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-34s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("pods placed", "%d", r.PodsPlaced)
	line("GPUs at most / limit", "%d / %d", r.GPUsMax, r.GPULimit)
	line("nodes launched / left", "%d / %d", r.NodesLaunched, r.NodesLeft)
	line("cost at most", "$%.2f/h", r.CostPerHourMax)
	line("pending to claim", "p50 %.3f s, p99 %.3f s (%d pods)", r.PendingToPlan.P50, r.PendingToPlan.P99, r.PendingToPlan.Pods)
	line("pending to CreateFleet", "p50 %.3f s, p99 %.3f s (%d pods)", r.PendingToLaunch.P50, r.PendingToLaunch.P99, r.PendingToLaunch.Pods)
	line("pending to bound", "p50 %.1f s, p99 %.1f s (%d pods)", r.PendingToBound.P50, r.PendingToBound.P99, r.PendingToBound.Pods)
	for _, i := range r.Interruptions {
		line("interruption of "+i.Instance, "fenced after %.1f s, replacement planned after %.1f s, recovered after %.1f s", i.FencedSeconds,
			i.ReplacedSeconds, i.RecoveredSeconds)
	}
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(r.EC2Calls)) {
		calls = append(calls, name+" "+strconv.Itoa(r.EC2Calls[name]))
	}
	line("EC2 calls", "%s", strings.Join(calls, ", "))
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
