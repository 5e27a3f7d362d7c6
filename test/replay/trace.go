package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// size is what a pod asks: milli-cores, MiB, milli-GPUs, and one of the node's places for pods.
type size [4]int64

const (
	cpu = iota
	memory
	gpu
	places
)

func (s size) fits(free size) bool {
	return s[cpu] <= free[cpu] && s[memory] <= free[memory] && s[gpu] <= free[gpu] && s[places] <= free[places]
}

func (s size) plus(o size, n int64) size {
	for i := range s {
		s[i] += o[i] * n
	}
	return s
}

// arrival is a number of equal pods that arrive together.
type arrival struct {
	at, lasts int64 // seconds
	pods      int
	size      size
}

const (
	day    = 24 * 3600
	copies = 10
	// spanDays are the last days of the trace, which are busy from end to end; meanGang is the pods of a gang on average.
	spanDays = 24
	meanGang = 8.0
	// shuffle seeds what is random about a trace: the sizes of gangs, and which pod gets which size where a trace has no times.
	shuffle = 20230710
)

// errNoTraces tells how to get at the trace.
var errNoTraces = errors.New("the openb trace is not part of this repository: set SLIPWAY_TRACES or -traces to a directory with openb_pod_list_default.csv " +
	"(github.com/alibaba/clusterdata, cluster-trace-gpu-v2023)")

// trace answers the arrivals of the last days of the openb trace, as many copies of them as copies, each shifted against the one before by a
// part of the span, in order of time from 0. Pods that share a GPU get one.
func trace(dir string, days int, sizes string) ([]arrival, error) {
	rows, err := table(filepath.Join(dir, "openb_pod_list_default.csv"))
	if err != nil {
		return nil, err
	}
	var once []arrival
	last := int64(0)
	for _, r := range rows {
		last = max(last, r["deletion_time"])
	}
	span := int64(days) * day
	for _, r := range rows {
		at := r["creation_time"] - (last - spanDays*day)
		if r["num_gpu"] == 0 || at < 0 || r["deletion_time"] <= r["creation_time"] {
			continue
		}
		once = append(once, arrival{at: at, lasts: r["deletion_time"] - r["creation_time"], pods: 1, size: sizeOf(r)})
	}
	if sizes != "" {
		if err := resize(once, filepath.Join(dir, sizes)); err != nil {
			return nil, err
		}
	}
	var all []arrival
	for c := range int64(copies) {
		for _, a := range once {
			if a.at = (a.at + c*spanDays*day/copies) % (spanDays * day); a.at < span {
				all = append(all, a)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return all, nil
}

// resize gives the pods the sizes of another trace's GPU pods, which has no times, at random.
func resize(pods []arrival, file string) error {
	rows, err := table(file)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r map[string]int64) bool { return r["num_gpu"] == 0 })
	random := rand.New(rand.NewPCG(shuffle, 1))
	for i := range pods {
		pods[i].size = sizeOf(rows[random.IntN(len(rows))])
	}
	return nil
}

func sizeOf(row map[string]int64) size {
	return size{row["cpu_milli"], row["memory_mib"], row["num_gpu"] * 1000, 1}
}

// gangs answers the trace with one arrival in mean, each of so many equal pods on average (geometrically distributed), so that the load
// stays about the same.
func gangs(all []arrival, mean float64) []arrival {
	random := rand.New(rand.NewPCG(shuffle, 2))
	var out []arrival
	for _, a := range all {
		if random.Float64()*mean >= 1 {
			continue
		}
		a.pods = 1 + int(math.Log(1-random.Float64())/math.Log(1-1/mean))
		out = append(out, a)
	}
	return out
}

// table reads the columns of numbers of a CSV file; what is no number is 0.
func table(file string) ([]map[string]int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoTraces, err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) < 2 {
		return nil, fmt.Errorf("reading %s: %d lines, %w", file, len(lines), err)
	}
	rows := make([]map[string]int64, 0, len(lines)-1)
	for _, line := range lines[1:] {
		row := make(map[string]int64, len(line))
		for i, name := range lines[0] {
			row[name], _ = strconv.ParseInt(line[i], 10, 64)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
