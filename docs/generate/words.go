package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const reasonIntro = `# Conditions and reasons

A reason is one word. The same word stands in conditions, in events, in the reason label of [metrics](metrics.md) and in what ` + "`slipway explain`" + ` answers.
What to do about it is in [troubleshooting](../troubleshooting.md).

`

const eventIntro = `# Events

What Slipway says about objects, as ` + "`kubectl describe` and `kubectl events`" + ` show it. The same is said about an object once in three minutes. An event's
reason is one of the words below, or one of these:

- the [condition](reasons.md) of a NodeClaim that has become true: ` + "`Launched`, `Joined`, `Ready`, `Fenced`, `Drained`" + `. Its Node is told of Joined and Ready too;
- why a claim's condition is not true yet, where that is news, of type Warning if somebody has to do something;
- why a NodeClaim [goes away](reasons.md#the-reasons-for-which-a-node-goes-away), of type Warning;
- why a pod [is held](reasons.md#why-pods-are-held), of type Warning;
- ` + "`Ready`" + ` of a Provisioner or an EC2NodeClass, or, of type Warning, why it is not.

`

const labelIntro = `# Labels, annotations, taints and finalizers

Ours, and those of other projects that Slipway reads or writes.

`

func isReason(c constant) bool {
	return c.kind == "Reason" || c.kind == "RetireReason" || c.kind == "PodConditionType" || strings.HasPrefix(c.name, "Condition")
}

func isEvent(c constant) bool { return strings.HasPrefix(c.name, "Event") }

// isKey tells of keys: they have a domain.
func isKey(c constant) bool {
	domain, _, found := strings.Cut(c.value, "/")
	return found && strings.Contains(domain, ".") && !isReason(c)
}

// words writes every group of the API that has words of a sort.
func words(root, intro string, take func(constant) bool) (string, error) {
	all, err := groups(filepath.Join(root, "pkg", "apis", "v1alpha1"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(intro)
	for _, g := range all {
		if err := section(&b, g, take); err != nil {
			return "", err
		}
	}
	if b.Len() == len(intro) {
		return "", errors.New("there is no such word in pkg/apis/v1alpha1")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func reasonPage(root string) (string, error) {
	text, err := words(root, reasonIntro, isReason)
	return text, errors.Join(err, strays(filepath.Join(root, "pkg", "provisioner")))
}

func eventPage(root string) (string, error) { return words(root, eventIntro, isEvent) }

func labelPage(root string) (string, error) {
	text, err := words(root, labelIntro, isKey)
	if err != nil {
		return "", err
	}
	machine, found := catalogue.Embedded().Type("g4dn.xlarge")
	if !found {
		return "", errors.New("g4dn.xlarge is not in the catalogue")
	}
	labels := plan.TypeLabels(machine)
	maps.Copy(labels, plan.PlaceLabels(cloud.OfferingKey{InstanceType: machine.Name, Zone: "us-east-1a", Market: cloud.Spot}, "us-east-1", "use1-az1"))
	maps.Copy(labels, plan.OwnerLabels("gpu", "default"))
	t := &table{head: []string{"Label", "Value"}}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		t.row(code(key), code(labels[key]))
	}
	return text + "\n## What a node carries\n\nA g4dn.xlarge, spot, in us-east-1a, of Provisioner gpu and EC2NodeClass default. Pods may select on any of them.\n\n" + t.String(), nil
}

// strays refuses reasons that are declared, and events that are said as literals, outside of the API: the pages would not have them.
func strays(dir string) error {
	var errs []error
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		set, files, err := parse(path)
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				if what := stray(n); what != "" {
					errs = append(errs, fmt.Errorf("%s: %s: declare it in pkg/apis/v1alpha1", set.Position(n.Pos()), what))
				}
				return true
			})
		}
		return err
	})
	return errors.Join(append(errs, err)...)
}

func stray(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GenDecl:
		for _, spec := range n.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.CONST && len(v.Values) > 0 && kindName(v) == "Reason" {
				return "a reason"
			}
		}
	case *ast.CallExpr:
		at := slices.IndexFunc(n.Args, isEventType) + 1
		if fun, ok := n.Fun.(*ast.SelectorExpr); ok && (fun.Sel.Name == "normal" || fun.Sel.Name == "warn") {
			at = 1 // of telemetry: (about, reason, ...)
		}
		if at > 0 && at < len(n.Args) {
			if word, ok := n.Args[at].(*ast.BasicLit); ok {
				return "the event " + word.Value
			}
		}
	}
	return ""
}

// isEventType tells of corev1.EventTypeNormal and corev1.EventTypeWarning, after which an event's reason stands.
func isEventType(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	return ok && strings.HasPrefix(sel.Sel.Name, "EventType")
}
