package app

import "testing"

func TestDefaultSpread(t *testing.T) {
	for text, want := range map[string]int{ // constraints; -1: refused
		"": 0, "[]": 0,
		"[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}, {maxSkew: 5, topologyKey: rack, whenUnsatisfiable: ScheduleAnyway}]": 2,
		`[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"}]`:                                                                1,
		"[{topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]":                                                                                 -1,
		"[{maxSkew: 1, topologyKey: zone}]":                                                                                                       -1,
		"[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}]":                                                  -1,
		"[{maxSkew: 1, topology: zone, whenUnsatisfiable: DoNotSchedule}]":                                                                        -1,
		"maxSkew": -1,
	} {
		got, err := Config{DefaultSpread: text}.defaultSpread()
		if (err != nil) != (want < 0) || err == nil && len(got) != want {
			t.Errorf("%q: %d constraints, %v; want %d", text, len(got), err, want)
		}
	}
}
