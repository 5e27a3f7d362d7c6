package slipway

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// written is what the pages are checked against: the files that there are, the targets of make, and the commands of slipway with their flags.
type written struct {
	read     func(file string) (string, error)
	targets  []string
	commands map[string]string // a command's section of docs/reference/flags.md
	values   map[string]any    // the chart's
}

// pages are all files that people read, by path: Markdown, and what the chart says when it is installed and when an alert fires.
func pages(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "charts/slipway/templates/NOTES.txt", "charts/slipway/files/alerts.yaml", "charts/slipway/values.yaml"}
	for _, dir := range []string{"docs", "charts", "deploy", "examples", "image", "test"} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && filepath.Ext(path) == ".md" {
				list = append(list, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func readFile(file string) (string, error) {
	text, err := os.ReadFile(filepath.FromSlash(file))
	return string(text), err
}

var (
	makeTarget = regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `)
	section    = regexp.MustCompile(`(?m)^## slipway ?(.*)$`)
)

func load(t *testing.T) *written {
	t.Helper()
	w := &written{read: readFile, commands: map[string]string{}}
	makefile, err := readFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range makeTarget.FindAllStringSubmatch(makefile, -1) {
		w.targets = append(w.targets, m[1])
	}
	flags, err := readFile("docs/reference/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	at := section.FindAllStringSubmatchIndex(flags, -1)
	for i, m := range at {
		end := len(flags)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		w.commands[flags[m[2]:m[3]]] = flags[m[1]:end]
	}
	values, err := readFile("charts/slipway/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(values), &w.values); err != nil {
		t.Fatal(err)
	}
	if len(w.targets) < 10 || len(w.commands) < 5 {
		t.Fatalf("only %d targets of make and %d commands of slipway were found", len(w.targets), len(w.commands))
	}
	return w
}

var (
	fence  = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	inline = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// absolute is a link to this repository from where there is none: a terminal, a pager.
	absolute = regexp.MustCompile(`https://github\.com/slipway-sh/slipway/blob/main/([^)\s"]+)`)
)

// prose is a page without code, which may look like anything.
func prose(text string) string {
	return inline.ReplaceAllString(fence.ReplaceAllString(text, ""), "code")
}

// links answers what is wrong with the links of a page. Those to other sites are not followed.
func (w *written) links(file, text string) []string {
	var wrong []string
	for _, m := range link.FindAllStringSubmatch(prose(text), -1) {
		path, anchor, _ := strings.Cut(m[1], "#")
		switch {
		case strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:"):
			continue
		case path != "":
			wrong = append(wrong, w.leads(filepath.ToSlash(filepath.Join(filepath.Dir(file), path)), anchor)...)
		case !slices.Contains(anchors(text), anchor):
			wrong = append(wrong, "#"+anchor+": the page has no such heading")
		}
	}
	for _, m := range absolute.FindAllStringSubmatch(text, -1) {
		path, anchor, _ := strings.Cut(m[1], "#")
		wrong = append(wrong, w.leads(path, anchor)...)
	}
	return wrong
}

// leads answers what is wrong with a link to a file, and to a heading if anchor names one.
func (w *written) leads(path, anchor string) []string {
	if _, err := os.Stat(path); err != nil {
		return []string{path + " is linked to and is not there"}
	}
	if anchor == "" {
		return nil
	}
	text, err := w.read(path)
	if err != nil {
		return []string{err.Error()}
	}
	if !slices.Contains(anchors(text), anchor) {
		return []string{path + "#" + anchor + ": there is no such heading"}
	}
	return nil
}

var (
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are those that GitHub gives to the headings of a page.
func anchors(text string) []string {
	var list []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		title := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		if n := len(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s != slug })); n > 0 {
			slug = fmt.Sprintf("%s-%d", slug, n)
		}
		list = append(list, slug)
	}
	return list
}

// commands answers the lines of a page that are typed into a shell: those of sh blocks, and code in the text.
func commands(text string) []string {
	var lines []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == "sh" || m[1] == "bash" || m[1] == "console" {
			lines = append(lines, strings.Split(strings.ReplaceAll(m[2], "\\\n", " "), "\n")...)
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		lines = append(lines, m[1])
	}
	var list []string
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " #")
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		for _, part := range regexp.MustCompile(` && | \| |; |\$\(| -- /`).Split(line, -1) {
			list = append(list, strings.TrimSpace(part))
		}
	}
	return list
}

var (
	word = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	flag = regexp.MustCompile(`^(--?[a-zA-Z][a-z0-9-]*)`)
)

// set is what --set of helm is given: keys of values with theirs, parted by commas. A backslash keeps a dot or a comma from parting.
var (
	set     = regexp.MustCompile(`--set(?:-string|-json|-file)?[ =]('[^']*'|\S+)`)
	setKeys = regexp.MustCompile(`(?:^|,)([^=,]+)=`)
	setWord = regexp.MustCompile(`(?:[^.\\]|\\.)+`)
)

// sets answers what is wrong with the values that a command sets.
func (w *written) sets(command string) []string {
	var wrong []string
	for _, given := range set.FindAllStringSubmatch(command, -1) {
		for _, key := range setKeys.FindAllStringSubmatch(strings.NewReplacer(`"`, "", "'", "").Replace(given[1]), -1) {
			at := w.values
			for _, word := range setWord.FindAllString(key[1], -1) {
				below, known := at[word]
				if !known && (len(at) > 0 || at == nil) {
					wrong = append(wrong, command+": the chart has no value "+key[1])
					break
				}
				at, _ = below.(map[string]any)
				if known && at != nil && len(at) == 0 {
					break // a map of the user's own
				}
			}
		}
	}
	return wrong
}

// typed answers what is wrong with a command, if it is make's, slipway's or Helm's about our chart.
func (w *written) typed(command string) []string {
	words := strings.Fields(command)
	if len(words) < 2 {
		return nil
	}
	wrong := w.sets(command)
	switch strings.TrimPrefix(words[0], "bin/") {
	case "make":
		for _, target := range words[1:] {
			if word.MatchString(target) && !slices.Contains(w.targets, target) {
				wrong = append(wrong, command+": make has no target "+target)
			}
		}
	case "kubectl":
		for _, next := range words[1:] {
			for kind := range strings.SplitSeq(next, ",") {
				if slices.Contains([]string{"nodeclaims", "nodeclaim", "ec2nodeclasses", "ec2nodeclass", "provisioners", "provisioner"}, kind) {
					wrong = append(wrong, command+": beside Karpenter "+kind+" are Karpenter's; write the group")
				}
			}
		}
	case "slipway":
		name := ""
		for _, next := range words[1:] {
			if _, ok := w.commands[strings.TrimSpace(name+" "+next)]; !ok {
				break
			}
			name = strings.TrimSpace(name + " " + next)
		}
		if name == "" && word.MatchString(words[1]) {
			return []string{command + ": slipway has no command " + words[1]}
		}
		for _, next := range words[1:] {
			if f := flag.FindString(next); f != "" && !regexp.MustCompile(`(?m)[ ,]`+regexp.QuoteMeta(f)+`[ ,]`).MatchString(w.commands[name]) {
				wrong = append(wrong, command+": slipway "+name+" has no flag "+f)
			}
		}
	}
	return wrong
}

// Every link within the repository leads somewhere, and every make and slipway command that a page names is there, with its flags.
func TestDocs(t *testing.T) {
	w := load(t)
	linked, commanded, given := 0, 0, 0
	for _, file := range pages(t) {
		text, err := readFile(file)
		if err != nil {
			t.Fatal(err)
		}
		linked += len(link.FindAllString(prose(text), -1))
		for _, wrong := range w.links(file, text) {
			t.Errorf("%s: %s", file, wrong)
		}
		for _, command := range commands(text) {
			if strings.HasPrefix(command, "make ") || strings.HasPrefix(command, "slipway ") {
				commanded++
			}
			given += len(set.FindAllString(command, -1))
			for _, wrong := range w.typed(command) {
				t.Errorf("%s: %s", file, wrong)
			}
		}
	}
	if linked < 30 || commanded < 50 || given < 5 {
		t.Errorf("only %d links, %d commands and %d values were found: pages are written in another way now", linked, commanded, given)
	}
}

// Each kind of mistake is noticed, and what is right is not.
func TestDocs_catches(t *testing.T) {
	w := load(t)
	const page = "# A page\n\n## Two words, and `code`\n\n"
	for text, want := range map[string]int{
		"[a](nowhere.md)":                                           1,
		"[a](docs/design.md#no-such-heading)":                       1,
		"[a](#three-words)":                                         1,
		"[a](#two-words-and-code) [b](docs/design.md) `](x)`":       0,
		"[a](https://example.com/nowhere)":                          0,
		"`make fly`":                                                1,
		"```sh\nmake build && make land VERSION=1\n```":             1,
		"make sure; `make e2e E2E_CLUSTER=embedded`":                0,
		"`slipway fly`":                                             1,
		"`slipway import -f a --fly`":                               1,
		"```sh\nkubectl get x | slipway import \\\n  --fly -\n```":  1,
		"`slipway explain pod NAME -n team` and `slipway.sh/claim`": 0,
		"```yaml\nslipway fly\n```":                                 0,
		"`kubectl get provisioners.slipway.sh,nodeclaims -w`":       1,
		"`kubectl get provisioners.slipway.sh,nodes -w`":            0,
		"https://github.com/slipway-sh/slipway/blob/main/docs/install.md#say-what-may-be-launched": 1,
		"`https://github.com/slipway-sh/slipway/blob/main/docs/nowhere.md`":                        1,
		"see https://github.com/slipway-sh/slipway/blob/main/docs/install.md#next) for more":       0,
		"`helm install x --set clustername=a`":                                                     1,
		"`--set metrics.enabled=true,clusterName=a`":                                               1,
		"```sh\nhelm install \\\n  --set-string image.tag=1,image.tags=2\n```":                     1,
		"`--set clusterName.a=b`":                                                                  1,
		"`--set serviceAccount.annotations.\"a\\.b/c\"=d,networkPolicy.enabled=false`":             0,
	} {
		wrong := w.links("README.md", page+text)
		for _, command := range commands(text) {
			wrong = append(wrong, w.typed(command)...)
		}
		if len(wrong) != want {
			t.Errorf("%q: want %d mistakes: %q", text, want, wrong)
		}
	}
}
