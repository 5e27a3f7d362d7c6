// Command bench measures Slipway's planner beside Karpenter's scheduler, on the same pods, instance types, prices and machine, in one process.
//
// Karpenter's side is its own code, module sigs.k8s.io/karpenter, called as its own benchmark calls it. Slipway's side is demand.Group and
// plan.Grow, from API objects to claims, as the controller calls them. Results go to out/packing.json and out/diverse.json,
// and with -page into a page and its plots.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/karpenter/pkg/operator/logging"
)

type flags struct {
	traces, out, page, only string
	sizes                   []int
	karpenterMost           int
	seed                    uint64
	diverse, redraw         bool
}

func main() {
	log.SetLogger(logging.NopLogger)
	f, err := parse()
	if err == nil {
		err = run(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (flags, error) {
	var f flags
	sizes := ""
	flag.StringVar(&f.traces, "traces", os.Getenv("SLIPWAY_TRACES"), "directory with openb_pod_list_*.csv (default $SLIPWAY_TRACES); without it only the generated mixes run")
	flag.StringVar(&f.out, "out", "out", "directory for the results")
	flag.StringVar(&f.page, "page", "", "page to put the tables into, with the plots in img beside it; empty: neither is written")
	flag.StringVar(&f.only, "only", "", "run only the mixes whose name contains this")
	flag.StringVar(&sizes, "pods", "100,1000,5000,10000,100000", "numbers of pods")
	flag.IntVar(&f.karpenterMost, "karpenter-most", 5000, "most pods that Karpenter is given, twice as many of openb/l4: its time grows with the square")
	flag.Uint64Var(&f.seed, "seed", 1, "seed of the sampling")
	flag.BoolVar(&f.diverse, "diverse", true, "run Karpenter's own diverse-pod benchmark too")
	flag.BoolVar(&f.redraw, "redraw", false, "run nothing: write -page again from the results of the last run")
	flag.Parse()
	for s := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return f, fmt.Errorf("-pods: %q is not a number of pods, 1 or more", s)
		}
		f.sizes = append(f.sizes, n)
	}
	return f, nil
}

func run(f flags) error {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", f.out, err)
	}
	rows, diverse, err := results(f)
	if err != nil {
		return err
	}
	fmt.Print("\n", goalTable(slices.Concat(rows, diverse)))
	if f.page == "" {
		return nil
	}
	if err := rewrite(f.page, "packing", packingTable(rows)); err != nil {
		return err
	}
	if err := rewrite(f.page, "goals", goalTable(slices.Concat(rows, diverse))); err != nil {
		return err
	}
	if f.diverse {
		if err := rewrite(f.page, "diverse", diverseTable(diverse)); err != nil {
			return err
		}
	}
	return draw(filepath.Join(filepath.Dir(f.page), "img"), rows, diverse)
}

// results answers those of this run, which it writes, or with -redraw those of the last.
func results(f flags) (rows, diverse []row, err error) {
	at := func(name string) string { return filepath.Join(f.out, name) }
	if f.redraw {
		return rows, diverse, errors.Join(read(at("packing.json"), &rows), read(at("diverse.json"), &diverse))
	}
	if rows, err = packing(f); err != nil {
		return nil, nil, err
	}
	if err := write(at("packing.json"), rows); err != nil {
		return nil, nil, err
	}
	if !f.diverse {
		return rows, nil, nil
	}
	if diverse, err = diversePods(f); err != nil {
		return nil, nil, err
	}
	return rows, diverse, write(at("diverse.json"), diverse)
}

func read(path string, v any) error {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("reading the results of the last run: %w", err)
	}
	return nil
}

func write(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
