package simulate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// printed answers the embedded catalogue of a region, and what is read when it has been printed.
func printed(t *testing.T, region string) (file, back CatalogueFile) {
	t.Helper()
	file, err := EmbeddedCatalogue(region)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if back, err = ReadCatalogue(write(t, string(text))); err != nil {
		t.Fatal(err)
	}
	return file, back
}

// TestCatalogueComesBack: the embedded catalogue, printed and read, gives the same Result but for what is said about it.
func TestCatalogueComesBack(t *testing.T) {
	_, back := printed(t, "us-east-1")
	list := examples(t)
	want, got := run(t, Config{Manifests: list, Region: "us-east-1"}), run(t, Config{Manifests: list, Region: "us-east-1", Catalogue: &back})
	want.Assumptions, got.Assumptions = nil, nil
	for _, r := range []*Result{&want, &got} {
		for i := range r.Held {
			r.Held[i].Obstacles = nil // types that nobody sells are in the embedded types
		}
	}
	if diff := cmp.Diff(marshal(t, want), marshal(t, got)); diff != "" {
		t.Error(diff)
	}
	if _, err := EmbeddedCatalogue("mars-1"); err == nil || !strings.Contains(err.Error(), "such as eu-west-1") {
		t.Errorf("what is no region: %v", err)
	}
}

const goodType = `{"name":"x1.large","vcpus":8,"memoryMiB":32768,"gpu":{"name":"T4","manufacturer":"NVIDIA","count":1,"memoryMiB":16384},"maxENIs":3,"ipv4PerENI":10,"onDemandPerHour":"0.5"}`

// TestReadCatalogueRefuses names the type and the field.
func TestReadCatalogueRefuses(t *testing.T) {
	if _, err := ReadCatalogue(write(t, `{"types":[`+goodType+`]}`)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ from, to, want string }{
		"no CPU":             {`"vcpus":8`, `"vcpus":0`, "types[0] (x1.large).vcpus: want 1"},
		"a misspelt field":   {`"vcpus"`, `"vcpu"`, `unknown field "types[0].vcpu"`},
		"no price":           {`,"onDemandPerHour":"0.5"`, ``, "types[0] (x1.large).onDemandPerHour"},
		"a price of words":   {`"0.5"`, `"half"`, `onDemandPerHour: want dollars`},
		"a price of nothing": {`"0.5"`, `"0"`, `onDemandPerHour: want dollars above 0`},
		"no size":            {`x1.large`, `x1`, "(x1).name: want family.size"},
		"an odd maker":       {`NVIDIA`, `ACME`, "gpu.manufacturer: want NVIDIA or AMD"},
		"half a GPU":         {`"count":1`, `"count":0.5`, "count"},
		"no addresses":       {`"ipv4PerENI":10`, `"ipv4PerENI":1`, "ipv4PerENI: want 2"},
		"twice":              {`]`, `,` + goodType + `]`, "types[1] (x1.large): is listed twice"},
		"nothing":            {goodType, ``, "types: at least one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCatalogue(write(t, strings.Replace(`{"types":[`+goodType+`]}`, tc.from, tc.to, 1)))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// TestPrices: the pattern that leaves least open wins, whatever the order in the file.
func TestPrices(t *testing.T) {
	prices, err := ReadPrices(write(t, "'*/*/spot': 9\ng4dn.xlarge/us-east-1a/spot: \"0.01\"\ng4dn.*/*/spot: 0.02\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := gather(t, Config{Manifests: read(t, anyGPU, pod("a", "1", "")), Prices: prices})
	got := map[string]int64{}
	for _, o := range s.View.Offerings {
		got[o.OfferingKey.String()] = o.PriceMicroUSDPerHour
	}
	for key, want := range map[string]int64{"g4dn.xlarge/us-east-1a/spot": 10_000, "g4dn.xlarge/us-east-1b/spot": 20_000, "g5.xlarge/us-east-1a/spot": 9_000_000,
		"g4dn.xlarge/us-east-1a/on-demand": 526_000} {
		if got[key] != want {
			t.Errorf("%s costs %d, want %d", key, got[key], want)
		}
	}
	for text, want := range map[string]string{
		"g4dn.xlarge/spot: 1\n": "want type/zone/market", "a/[/c: 1\n": "is no pattern", "a/b/c: cheap\n": "not a decimal number", "a/b/c: 0\n": "above 0", "- 1\n": "reading prices",
	} {
		if _, err := ReadPrices(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestStockouts close what they select, and one that selects nothing is a typing error.
func TestStockouts(t *testing.T) {
	pattern := func(text string) Pattern {
		p, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	list := read(t, anyGPU, pod("a", "1", ""))
	before := run(t, Config{Manifests: list})
	key := before.Nodes[0].InstanceType + "/*/*"
	after := run(t, Config{Manifests: list, Stockouts: []Pattern{pattern(key)}})
	if len(after.Nodes) != 1 || after.Nodes[0].InstanceType == before.Nodes[0].InstanceType {
		t.Errorf("without %s: %+v", key, after.Nodes)
	}
	none := run(t, Config{Manifests: list, Stockouts: []Pattern{pattern("*/*/*")}})
	if none.Summary.Held != 1 || none.Held[0].Reason != stockout {
		t.Errorf("without anything: %+v", none.Held)
	}
	_, err := Gather(t.Context(), Config{Manifests: list, Now: noon, Stockouts: []Pattern{pattern("g99.*/*/spot")}})
	if err == nil || !strings.Contains(err.Error(), `"g99.*/*/spot" selects nothing that is sold in us-east-1`) {
		t.Errorf("got %v", err)
	}
}

// TestConfig refuses to simulate nothing.
func TestConfig(t *testing.T) {
	for want, c := range map[string]Config{"nothing to simulate": {Now: noon}, "Now is required": {}, "region \"mars-1\"": {Now: noon, Region: "mars-1", Manifests: read(t, anyGPU)}} {
		if _, err := Gather(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
