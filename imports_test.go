// Package slipway holds the tests of the house itself: which package may import which and why, and that pages speak of what is there.
package slipway

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/slipway-sh/slipway/"

// floors are the packages of docs/design.md section 3, lowest first. A package imports only packages of lower floors, and on its own floor
// only what beside names. Every package of the product stands here, so a new one needs a place before it compiles in CI.
var floors = [][]string{
	{"pkg/binpack", "pkg/cloud", "pkg/manifest"},
	{"pkg/apis/v1alpha1", "pkg/apis/karpenterv1alpha5", "pkg/apis/crds", "pkg/cloud/catalogue", "pkg/cloud/health", "pkg/cloud/sim"},
	{"pkg/provisioner/demand", "pkg/provisioner/topology", "pkg/provisioner/plan"},
	{"pkg/provisioner/inventory", "pkg/provisioner/act", "pkg/provisioner/telemetry", "pkg/provisioner/explain", "pkg/provisioner/record", "pkg/cloud/aws", "pkg/cloud/observed", "pkg/cloud/contract"},
	{"pkg/provisioner/grow", "pkg/provisioner/shrink", "pkg/provisioner/claim", "pkg/provisioner/notice", "pkg/provisioner/orphan",
		"pkg/provisioner/nodeclass", "pkg/provisioner/nominate", "pkg/provisioner/status", "pkg/provisioner/carryover"},
	{"pkg/provisioner/app", "pkg/preflight", "pkg/simulate", "pkg/migrate"},
	{"cmd", "test", "docs/generate", "pkg/cloud/catalogue/generate", "pkg/apis/crds/generate", "pkg/apis/crds/admit", "pkg/binpack/internal"},
}

// beside are the imports within one floor that are allowed, and why.
var beside = map[string]string{
	"pkg/apis/crds pkg/apis/v1alpha1":                 "the schemas are generated from the types",
	"pkg/apis/karpenterv1alpha5 pkg/apis/v1alpha1":    "the old API borrows the native label keys",
	"pkg/cloud/sim pkg/cloud/catalogue":               "the fake cloud sells the real types",
	"pkg/provisioner/plan pkg/provisioner/demand":     "plan decides over demands",
	"pkg/provisioner/plan pkg/provisioner/topology":   "plan has domains dealt before it packs",
	"pkg/provisioner/topology pkg/provisioner/demand": "the rules about neighbours are in a demand's words",
	"pkg/binpack/internal pkg/binpack":                "the oracle solves the same problems",
}

// forbidden are imports that a package must not have, directly, and the reason for it.
var forbidden = []struct {
	within  string
	imports []string
	except  []string
	reason  string
}{
	{"pkg/binpack", []string{"k8s.io/", "sigs.k8s.io/", "github.com/"}, []string{module}, "the solver knows numbers only"},
	{"pkg/cloud", []string{"k8s.io/", "sigs.k8s.io/", module + "pkg/apis", module + "pkg/provisioner"}, []string{"sigs.k8s.io/yaml"},
		"the port and its adapters know no Kubernetes type, so that either side can be replaced"},
	{"pkg/provisioner", []string{"github.com/aws/"}, nil, "only pkg/cloud/aws speaks to AWS; everything else goes through the port"},
	{"pkg/provisioner/plan", []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "math/rand", "log", "github.com/prometheus"}, nil,
		"deciding is a function of values"},
	{"pkg/provisioner/topology", []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "math/rand", "log", "github.com/prometheus"}, nil,
		"deciding is a function of values"},
	{"pkg/provisioner/demand", []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "math/rand", "log", "github.com/prometheus"}, nil,
		"deciding is a function of values"},
	{"pkg/apis", []string{"sigs.k8s.io/controller-runtime", "k8s.io/client-go"}, nil, "an API package must cost its importers nothing"},
	{"pkg/simulate", []string{"html/template", "text/template"}, nil, "they call methods by name, so the linker keeps all of them: twice the program"},
	{"pkg/provisioner/app", []string{"testing"}, nil, "production does not link the test library"},
}

func TestImports(t *testing.T) {
	imports := productImports(t)
	for pkg, list := range imports {
		floor := floorOf(pkg)
		if floor < 0 {
			t.Errorf("%s has no floor: give it one in imports_test.go and docs/design.md section 3", pkg)
			continue
		}
		for _, imported := range list {
			if why := refuses(pkg, floor, imported); why != "" {
				t.Errorf("%s imports %s: %s", pkg, imported, why)
			}
		}
	}
}

// TestImportsCatches plants imports that must be refused.
func TestImportsCatches(t *testing.T) {
	for _, tc := range []struct{ pkg, imported string }{
		{"pkg/binpack", module + "pkg/cloud"},
		{"pkg/binpack", "k8s.io/api/core/v1"},
		{"pkg/cloud", module + "pkg/apis/v1alpha1"},
		{"pkg/provisioner/plan", module + "pkg/provisioner/inventory"},
		{"pkg/provisioner/plan", "sigs.k8s.io/controller-runtime/pkg/client"},
		{"pkg/provisioner/claim", "github.com/aws/aws-sdk-go-v2/service/ec2"},
		{"pkg/provisioner/grow", module + "pkg/provisioner/shrink"},
		{"pkg/provisioner/app", module + "test/cluster"},
		{"pkg/simulate", "html/template"},
	} {
		if refuses(tc.pkg, floorOf(tc.pkg), tc.imported) == "" {
			t.Errorf("%s may import %s", tc.pkg, tc.imported)
		}
	}
}

// refuses answers why a package must not import another; empty: it may.
func refuses(pkg string, floor int, imported string) string {
	for _, rule := range forbidden {
		hit := func(prefix string) bool {
			return imported == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(imported, prefix)
		}
		if within(pkg, rule.within) && slices.ContainsFunc(rule.imports, hit) && !slices.ContainsFunc(rule.except, hit) {
			return rule.reason
		}
	}
	local, ours := strings.CutPrefix(imported, module)
	if !ours || floor == len(floors)-1 {
		return ""
	}
	below := floorOf(local)
	switch {
	case below < 0:
		return "the imported package has no floor"
	case below < floor:
		return ""
	case below > floor:
		return "it stands on a higher floor"
	}
	for pair := range beside {
		from, to, _ := strings.Cut(pair, " ")
		if within(pkg, from) && within(local, to) {
			return ""
		}
	}
	return "it stands on the same floor; name the pair, with a reason, in imports_test.go or find the lower floor that both need"
}

// floorOf answers the floor of the longest entry that holds the package; -1: none does.
func floorOf(pkg string) int {
	best, length := -1, -1
	for floor, entries := range floors {
		for _, entry := range entries {
			if within(pkg, entry) && len(entry) > length {
				best, length = floor, len(entry)
			}
		}
	}
	// A directory that only holds others (pkg/cloud is a package itself) does not lend its floor to strangers below it.
	if best >= 0 && best < len(floors)-1 && !slices.Contains(floors[best], pkg) {
		return -1
	}
	return best
}

func within(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

// productImports answers the direct imports of every package of this module, without those of its tests.
func productImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	list := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if pkg, ok := strings.CutPrefix(fields[0], module); ok {
			list[pkg] = fields[1:]
		}
	}
	if len(list) < 10 {
		t.Fatalf("only %d packages found", len(list))
	}
	return list
}

// TestPackagesSayWhatTheyAre: go doc answers what a package decides and what it may import.
func TestPackagesSayWhatTheyAre(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}|{{.Doc}}|{{len .GoFiles}}`, "./...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Split(lines.Text(), "|")
		if fields[1] == "" && fields[2] != "0" {
			t.Errorf("%s has no package comment", fields[0])
		}
	}
}
