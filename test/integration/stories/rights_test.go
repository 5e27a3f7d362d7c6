package stories_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// right is one thing that a rule of RBAC allows: a verb on a resource (pods, pods/status) of a group ("": core).
type right struct{ group, resource, verb string }

func (r right) String() string {
	return fmt.Sprintf("%s %s %q", r.verb, r.resource, r.group)
}

// unasked are rights that no request shows, or none of a story: each with what it is for.
var unasked = map[right]string{
	{"slipway.sh", "nodeclaims", "get"}:                   "the newest one, when a notice meets a write of someone else",
	{"", "nodes", "delete"}:                               "a node that stands yet when its machine is gone: the cloud's own controller may be sooner",
	{"", "events", "patch"}:                               "a second change of leader in the same words",
	{"karpenter.sh", "provisioners/finalizers", "update"}: "asked of by admission (OwnerReferencesPermissionEnforcement) where a cluster has it on",
}

// audits are what the API servers of all stages note about the controller's requests.
type audits struct {
	mu    sync.Mutex
	dir   string
	files []string
}

var audited audits

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["system:serviceaccount:slipway:slipway"]}
- {level: None}
`

// flags has a stage's API server note what the controller asks for.
func (a *audits) flags() (map[cluster.Component][]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	policy := filepath.Join(a.dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	log := filepath.Join(a.dir, fmt.Sprintf("audit-%d.log", len(a.files)))
	a.files = append(a.files, log)
	return map[cluster.Component][]string{cluster.APIServer: {"--audit-policy-file=" + policy, "--audit-log-path=" + log, "--audit-log-mode=blocking"}}, nil
}

// read answers what was asked for and allowed, and what was refused.
func (a *audits) read() (asked, refused map[right]bool, err error) {
	asked, refused = map[right]bool{}, map[right]bool{}
	for _, name := range a.files {
		file, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // that stage's controller never came so far
		}
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var event struct {
				Verb           string
				ObjectRef      *struct{ APIGroup, Resource, Subresource string }
				ResponseStatus *struct{ Code int }
			}
			if json.Unmarshal(lines.Bytes(), &event) != nil || event.ObjectRef == nil || event.ResponseStatus == nil {
				continue // half a line of a server that was killed, or discovery
			}
			r := right{event.ObjectRef.APIGroup, event.ObjectRef.Resource, event.Verb}
			if s := event.ObjectRef.Subresource; s != "" {
				r.resource += "/" + s
			}
			if event.ResponseStatus.Code == 403 {
				refused[r] = true
			} else {
				asked[r] = true
			}
		}
	}
	return asked, refused, nil
}

// given answers what the controller's role allows.
func given() (map[right]bool, error) {
	root, err := program.Root()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(root, "charts", "slipway", "files", "role.yaml"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rights := map[right]bool{}
	for reader := k8syaml.NewYAMLReader(bufio.NewReader(file)); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rights, nil
		}
		var role rbacv1.ClusterRole
		if err := errors.Join(err, yaml.Unmarshal(document, &role)); err != nil {
			return nil, err
		}
		for _, rule := range role.Rules {
			for _, g := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						rights[right{g, resource, verb}] = true
					}
				}
			}
		}
	}
}

// tooMuch compares the rights that the role gives with what was asked for: each must have been used, or stand in excused. It answers what is
// wrong, in order.
func tooMuch(given, asked map[right]bool, excused map[right]string) (problems []string) {
	for r := range given {
		_, known := excused[r]
		streamed := r.verb == "list" && asked[right{r.group, r.resource, "watch"}] // lists only where the API server cannot stream (WatchList)
		if !asked[r] && !known && !streamed {
			problems = append(problems, "no story asks for "+r.String()+": take the right away, or say in unasked what it is for")
		}
	}
	slices.Sort(problems)
	return problems
}

// leastRights judges the rights after all stories. Refusals count always, what was not used only if everything ran.
func leastRights() error {
	asked, refused, err := audited.read()
	if err != nil {
		return err
	}
	var problems []string
	for _, r := range slices.SortedFunc(maps.Keys(refused), func(a, b right) int { return strings.Compare(a.String(), b.String()) }) {
		problems = append(problems, "the controller was refused "+r.String())
	}
	if flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" {
		rights, err := given()
		if err != nil {
			return err
		}
		problems = append(problems, tooMuch(rights, asked, unasked)...)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}
