package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	goodType   = `{"instanceType":"g4dn.xlarge","vcpus":4,"memoryMiB":16384,"architecture":"x86_64","cpuManufacturer":"intel","gpus":[{"name":"T4","manufacturer":"NVIDIA","count":1,"memoryMiB":16384,"partitionSize":1.0,"logicalCount":1}],"nvmeGB":125,"maxENIs":3,"ipv4PerENI":10,"efaInterfaces":0,"networkMbps":5000,"ebsMbps":3500,"hypervisor":"nitro","bareMetal":false,"usageClasses":["spot"],"placementStrategies":[]}`
	goodPrices = `{"us-east-1":{"g4dn.xlarge":0.526}}`
	goodZones  = `{"us-east-1":{"g4dn.xlarge":["us-east-1b","us-east-1a"]}}`
)

func write(t *testing.T, types, prices, zones string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{typesFile: types, pricesFile: prices, zonesFile: zones} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRenderIsTheSameEveryTime(t *testing.T) {
	dir := write(t, "["+goodType+"]", goodPrices, goodZones)
	var outputs []string
	for range 3 {
		f, err := read(dir)
		if err != nil {
			t.Fatal(err)
		}
		text, err := render(f, "August 2026")
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, string(text))
	}
	if diff := cmp.Diff([]string{outputs[0], outputs[0]}, outputs[1:]); diff != "" {
		t.Errorf("outputs differ (-want +got):\n%s", diff)
	}
	for _, want := range []string{"DO NOT EDIT", "August 2026", `"g4dn.xlarge": 526000`, `{"us-east-1a", "us-east-1b"}`} {
		if !strings.Contains(outputs[0], want) {
			t.Errorf("output lacks %q", want)
		}
	}
}

func TestBadInputIsRefusedByName(t *testing.T) {
	for name, tc := range map[string]struct{ types, prices, zones, want string }{
		"broken JSON":     {"[{", goodPrices, goodZones, typesFile + ", about byte"},
		"unknown key":     {strings.Replace("["+goodType+"]", "vcpus", "vCPUs2", 1), goodPrices, goodZones, "vCPUs2"},
		"two values":      {"[" + goodType + "] []", goodPrices, goodZones, "more than one JSON value"},
		"twice":           {"[" + goodType + "," + goodType + "]", goodPrices, goodZones, `"g4dn.xlarge" is listed twice`},
		"no memory":       {strings.Replace("["+goodType+"]", `"memoryMiB":16384,"arch`, `"memoryMiB":0,"arch`, 1), goodPrices, goodZones, "must be above 0"},
		"architecture":    {strings.Replace("["+goodType+"]", "x86_64", "sparc", 1), goodPrices, goodZones, `"sparc"`},
		"no GPU":          {strings.Replace("["+goodType+"]", `"count":1`, `"count":0`, 1), goodPrices, goodZones, "partitionSize"},
		"no price region": {"[" + goodType + "]", `{"eu-west-1":{}}`, goodZones, "no prices for us-east-1"},
		"zero price":      {"[" + goodType + "]", `{"us-east-1":{"g4dn.xlarge":0}}`, goodZones, "the price is 0"},
		"negative price":  {"[" + goodType + "]", `{"us-east-1":{"g4dn.xlarge":-1}}`, goodZones, `"-1" is not a decimal`},
		"price of nobody": {"[" + goodType + "]", `{"us-east-1":{"g9.xlarge":1}}`, goodZones, `"g9.xlarge" is not in`},
		"zones of nobody": {"[" + goodType + "]", goodPrices, `{"us-east-1":{"g9.xlarge":[]}}`, `"g9.xlarge" is not in`},
		"foreign zone":    {"[" + goodType + "]", goodPrices, `{"us-east-1":{"g4dn.xlarge":["us-west-2a"]}}`, "not in region us-east-1"},
		"zone twice":      {"[" + goodType + "]", goodPrices, `{"us-east-1":{"g4dn.xlarge":["us-east-1a","us-east-1a"]}}`, "lists a zone twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(write(t, tc.types, tc.prices, tc.zones))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want it to contain %q", err, tc.want)
			}
		})
	}
}

func TestNoSourceNamesTheRemedy(t *testing.T) {
	if err := run("", "x", ""); err == nil || !strings.Contains(err.Error(), "SLIPWAY_CATALOGUE") {
		t.Errorf("got %v", err)
	}
}

// The checked-in table is what the sources give. It needs the sources, which are not part of the repository.
func TestCheckedInFactsAreCurrent(t *testing.T) {
	dir := os.Getenv("SLIPWAY_CATALOGUE")
	if dir == "" {
		t.Skip("SLIPWAY_CATALOGUE is not set: the source files are not part of the repository")
	}
	out := filepath.Join(t.TempDir(), "facts.go")
	if err := run(dir, out, "August 2026"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../facts_generated.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run go generate (-checked in +generated):\n%s", diff)
	}
}
