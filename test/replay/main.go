package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// options are the program's flags.
type options struct {
	traces, sizes, out, svg string
	days                    int
	boot                    int64
	only                    string
	quick, resume           bool
}

func main() {
	var o options
	flag.StringVar(&o.traces, "traces", os.Getenv("SLIPWAY_TRACES"), "directory with openb_pod_list_default.csv; default: SLIPWAY_TRACES")
	flag.StringVar(&o.sizes, "sizes", "", "file in -traces whose pods' sizes are given to the arrivals at random (openb_pod_list_multigpu50.csv)")
	flag.StringVar(&o.out, "out", "", "file for the numbers, as JSON")
	flag.StringVar(&o.svg, "svg", "", "file for the picture")
	flag.IntVar(&o.days, "days", 24, "play the first so many days, 1 to 24")
	flag.Int64Var(&o.boot, "boot", 0, "seconds until a machine that was bought takes pods")
	flag.StringVar(&o.only, "only", "", "play rows whose name contains this: any/10s/idle30s/tight/gangs")
	flag.BoolVar(&o.quick, "quick", false, "play three days of the eight rows with tight placement and an idle delay of 30 s and windows of 10 s and 600 s")
	flag.BoolVar(&o.resume, "resume", false, "take the rows that -out has already from there: only of the same code and trace")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

// run plays every row that is asked for, and prints each when it has been played.
func run(o options, to io.Writer) error {
	if o.quick {
		o.days = min(o.days, 3)
	}
	if o.days < 1 || o.days > spanDays {
		return fmt.Errorf("-days %d: want 1 to %d", o.days, spanDays)
	}
	all, err := trace(o.traces, o.days, o.sizes)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "%-36s %9s %11s %11s %11s %13s %10s\n", "row", "pods/batch", "karpenter $", "myopic $", "slipway $", "of karpenter", "of better")
	r, played := report{Days: o.days, Source: "Alibaba cluster-trace-gpu-v2023 (openb)"}, report{}
	if o.resume {
		if played, err = read(o.out); err != nil {
			return err
		}
	}
	for _, at := range rows(o) {
		if i := slices.IndexFunc(played.Rows, func(res result) bool { return res.row == at }); i >= 0 && played.Days == o.days {
			r.Rows = append(r.Rows, played.Rows[i])
			fmt.Fprintln(to, played.Rows[i])
			continue
		}
		kinds := kinds(families[at.Types])
		arrivals := fitting(all, kinds)
		if at.Gangs {
			arrivals = gangs(arrivals, meanGang)
		}
		res, err := compare(at, arrivals, int64(o.days)*day, kinds)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		r.Rows = append(r.Rows, res)
		fmt.Fprintln(to, res)
		if err := write(o.out, r.json); err != nil { // so that a long run can be resumed
			return err
		}
	}
	r.sum()
	fmt.Fprintf(to, "\n%d rows: %.1f %% cheaper than Karpenter's policy on average; at worst %+.1f %% over the better of it and myopic (%s)\n",
		len(r.Rows), 100*(1-r.MeanOfKarpenter), 100*(r.WorstOfBetter-1), r.WorstRow)
	return errors.Join(write(o.out, r.json), write(o.svg, r.svg))
}

// read answers the report of an earlier run; none if there is no such file.
func read(file string) (report, error) {
	var r report
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("reading the rows to resume from: %w", err)
	}
	return r, nil
}

// rows answers what is to be played.
func rows(o options) []row {
	var list []row
	for _, types := range []string{"L4", "any"} {
		for _, gangs := range []bool{false, true} {
			for _, window := range []int64{10, 60, 600} {
				for _, idle := range []int64{30, 300} {
					for _, placement := range []string{"tight", "first-fit"} {
						r := row{Types: types, WindowS: window, IdleS: idle, Placement: placement, Gangs: gangs, BootS: o.boot}
						skip := o.quick && (idle != 30 || placement != "tight" || window == 60)
						if !skip && strings.Contains(r.String(), o.only) {
							list = append(list, r)
						}
					}
				}
			}
		}
	}
	return list
}

// fitting are the arrivals that some kind holds.
func fitting(all []arrival, kinds []kind) []arrival {
	return slices.DeleteFunc(slices.Clone(all), func(a arrival) bool {
		return !slices.ContainsFunc(kinds, func(k kind) bool { return a.size.fits(k.free) })
	})
}

func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// write makes a file, and the directory that it is in; no name: nothing.
func write(file string, content func(io.Writer) error) error {
	if file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(content(f), f.Close())
}
