package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-sh/slipway/test/plot"
)

// draw writes the plots of docs/benchmarks.md.
func draw(dir string, rows, diverse []row) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	pods := plot.Axis{Label: "pods", Log: true}
	charts := map[string]plot.Chart{
		"packing-cost.svg": {
			Title: "Cost of the plan over the proven lower bound", X: pods, Y: plot.Axis{Label: "cost / bound", Min: 1, Max: 2.4},
			Series: lines(rows, func(r row) float64 { return r.over(r.Answer.CostMicroUSD) }, func(r row) float64 { return r.over(r.Karpenter.CostMicroUSD) }),
		},
		"packing-time.svg": {
			Title: "Seconds to the first plan", X: pods, Y: plot.Axis{Label: "seconds", Log: true},
			Series: lines(rows, func(r row) float64 { return r.First.Seconds }, func(r row) float64 { return r.Karpenter.Seconds }),
		},
		"packing-effort.svg": {
			Title: "Slipway: seconds to the plan that is acted upon, and its bound", X: pods, Y: plot.Axis{Label: "seconds", Log: true},
			Series: lines(rows, func(r row) float64 { return r.Answer.Seconds }, nil),
		},
		"packing-memory.svg": {
			Title: "Slipway: MiB allocated for the plan that is acted upon", X: pods, Y: plot.Axis{Label: "MiB", Log: true},
			Series: lines(rows, func(r row) float64 { return float64(r.Answer.AllocBytes) / (1 << 20) }, nil),
		},
	}
	if len(diverse) > 0 {
		charts["diverse-speed.svg"] = plot.Chart{
			Title: "Karpenter's own diverse pods, 400 types: pods planned per second", X: pods, Y: plot.Axis{Label: "pods / second", Log: true},
			Series: lines(diverse, func(r row) float64 { return float64(r.Pods) / r.Answer.Seconds },
				func(r row) float64 { return float64(r.Pods) / r.Karpenter.Seconds }),
		}
	}
	for name, c := range charts {
		if err := save(filepath.Join(dir, name), c); err != nil {
			return err
		}
	}
	return nil
}

func save(path string, c plot.Chart) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("creating the plot: %w", err)
	}
	if err := c.WriteSVG(f); err != nil {
		f.Close()
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	return f.Close()
}

// drawn are the mixes that the plots show: more lines than these cannot be told apart.
var drawn = map[string]int{"openb/any": 0, "openb/l4": 1, "openb-models/any": 2, "training/any": 3, "diverse": 0}

// lines makes a line of each drawn mix for Slipway, and a dashed one of the same colour for Karpenter unless it is nil.
func lines(rows []row, ours, karpenter func(row) float64) []plot.Series {
	var list []plot.Series
	add := func(name string, color int, x, y float64, dashed bool) {
		for i := range list {
			if list[i].Name == name {
				list[i].Points = append(list[i].Points, plot.Point{X: x, Y: y})
				return
			}
		}
		list = append(list, plot.Series{Name: name, Color: color, Dashed: dashed, Points: []plot.Point{{X: x, Y: y}}})
	}
	for _, r := range rows {
		color, shown := drawn[r.Mix]
		if !shown {
			continue
		}
		add("Slipway "+r.Mix, color, float64(r.Pods), ours(r), false)
		if karpenter != nil && r.Karpenter != nil {
			add("Karpenter "+r.Mix, color, float64(r.Pods), karpenter(r), true)
		}
	}
	return list
}
