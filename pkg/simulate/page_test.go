package simulate

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// scripts are the page's own, which hold no word of a user's.
var scripts = regexp.MustCompile(`(?s)<(script|style)>(.*?)</(script|style)>`)

// void are the elements without an end.
var void = regexp.MustCompile(`<(meta|link|input)([^>]*)>`)

// faults finds what is wrong with a page.
func faults(r *Result, page string) []string {
	var found []string
	for _, m := range scripts.FindAllStringSubmatch(page, -1) {
		if strings.Contains(m[2], "//") || strings.Contains(m[2], "url(") || strings.Contains(m[2], "@import") {
			found = append(found, "reaches outside: "+m[1])
		}
	}
	used := int64(0)
	for _, n := range r.Nodes {
		used += n.GPU.Used
	}
	drawn := int64(0)
	body, _, _ := strings.Cut(page, "Places on what is there")
	for _, m := range regexp.MustCompile(`class="g c\d p\d" style="--s:(\d+)"`).FindAllStringSubmatch(body, -1) {
		var n int64
		if _, err := fmt.Sscan(m[1], &n); err != nil {
			found = append(found, err.Error())
		}
		drawn += n
	}
	if drawn != used {
		found = append(found, fmt.Sprintf("%d GPUs are drawn, %d are used", drawn, used))
	}
	if n := strings.Count(page, "<article"); n != len(r.Nodes)+len(r.Existing) {
		found = append(found, fmt.Sprintf("%d nodes are drawn", n))
	}
	return append(found, unbalanced(page)...)
}

// unbalanced finds what is not closed, and elements and attributes that reach outside or run something.
func unbalanced(page string) []string {
	page = void.ReplaceAllString(scripts.ReplaceAllString(page, ""), "<$1$2/>")
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return []string{"is not well formed: " + err.Error()}
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "img", "iframe", "script", "style", "object", "embed", "form", "a", "svg":
			return []string{"reaches outside: " + e.Name.Local}
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" || a.Name.Local == "href" && a.Value != "data:," {
				return []string{"reaches outside: " + a.Name.Local}
			}
		}
	}
}

func pageOf(t interface{ Fatal(...any) }, r *Result) string {
	var b bytes.Buffer
	if err := r.WritePage(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostile is what a user could call things to break out of a page.
var hostile = []string{"a", "</script><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "';alert(1)//", "{{.}}", "<!--", "&lt;", "é\u2028"}

// TestPages draws Results of any size with hostile names: whatever there is, it is drawn once, and nothing gets out.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawResult(t)
		if found := faults(&r, pageOf(t, &r)); len(found) > 0 {
			t.Fatal(found)
		}
	})
}

func drawResult(t *rapid.T) Result {
	text := func(what string) string { return rapid.SampledFrom(hostile).Draw(t, what) }
	r := Result{Version: ResultVersion, Region: text("region"), Summary: Summary{CostPerHour: "1234.5678"}}
	if rapid.Bool().Draw(t, "bound") {
		gap := rapid.Float64Range(0, 300).Draw(t, "gap")
		r.Summary.LowerBoundPerHour, r.Summary.GapPercent = "1200", &gap
	}
	for i := range rapid.IntRange(0, 40).Draw(t, "nodes") {
		n := NodeGroup{Copies: rapid.IntRange(1, 9).Draw(t, "copies"), InstanceType: text("type"), Zone: text("zone"), Market: text("market"),
			PricePerHour: "0.5", CostPerHour: "1", GPU: GPU{Name: text("gpu"), Count: 8}, Why: text("why"),
			CPUMilli: Fill{rapid.Int64Range(0, 100).Draw(t, "capacity"), rapid.Int64Range(0, 100).Draw(t, "daemons"), rapid.Int64Range(0, 100).Draw(t, "pods")}}
		for n.GPU.Used < 8 && rapid.Bool().Draw(t, "more") {
			c := Content{Workload: fmt.Sprint(text("workload"), i%35), Pods: 1, GPUs: rapid.Int64Range(1, 8-n.GPU.Used).Draw(t, "gpus")}
			n.GPU.Used += c.GPUs
			n.Pods = append(n.Pods, c)
		}
		r.Nodes = append(r.Nodes, n)
	}
	if rapid.Bool().Draw(t, "held") {
		r.Held = []HeldPods{{Workload: text("held"), Pods: 2, GPUs: 1, Message: text("message"),
			Misses: []Miss{{}, {InstanceType: text("miss"), Changes: []string{text("change"), "b"}}}}}
	}
	r.Assumptions = []string{text("assumption")}
	return r
}

// TestPages_catches plants what must not be in a page.
func TestPages_catches(t *testing.T) {
	r := readResult(t, "small")
	good := pageOf(t, &r)
	if found := faults(&r, good); len(found) > 0 {
		t.Fatalf("the good page: %v", found)
	}
	for name, tc := range map[string]struct{ from, to, want string }{
		"a font from elsewhere": {"<style>", "<style>@import 'x';", "reaches outside"},
		"a picture":             {"<main>", `<main><img src="https://example.com/p.gif"/>`, "reaches outside"},
		"a name that runs":      {"Job/&lt;b&gt;", `Job/<b onclick="x">`, "reaches outside"},
		"a name as it is":       {"Job/&lt;b&gt;", "Job/<b>", "not well formed"},
		"a GPU too many":        {"--s:8", "--s:9", "GPUs are drawn"},
		"a node is lost":        {"<article", "<section", "nodes are drawn"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, tc.from, tc.to, 1)
			if found := strings.Join(faults(&r, bad), "\n"); bad == good || !strings.Contains(found, tc.want) {
				t.Errorf("want %q, found %q", tc.want, found)
			}
		})
	}
}

// TestCodes: letters stay apart.
func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for i := range 1000 {
		c := code(i)
		if seen[c] || c == "" {
			t.Fatalf("code %d is %q", i, c)
		}
		seen[c] = true
	}
	if code(25) != "Z" || code(26) != "AA" || code(51) != "AZ" || code(52) != "BA" {
		t.Error(code(25), code(26), code(51), code(52))
	}
}

// TestCents: money for people.
func TestCents(t *testing.T) {
	for text, want := range map[string]string{"0.136812": "$0.137", "1234.567": "$1,234.57", "1234567.999": "$1,234,568.00", "1": "$1.00", "": "", "0.00": "$0.000"} {
		if got := cents(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
