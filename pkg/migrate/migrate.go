package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/manifest"
)

// Config says what the sources do not.
type Config struct {
	// ClusterName is the EKS cluster's; empty: that of an eksctl ClusterConfig, if there is one.
	ClusterName string
	// NodeRole is the IAM role of nodes whose source names none; empty: SlipwayNodeRole- and the cluster's name.
	NodeRole string
	// All imports also pools that could launch machines with GPUs, but have nothing about GPUs in them.
	All bool
}

// Report says what became of one source.
type Report struct {
	// Source is where it stood: nodepools.yaml: document 2 (NodePool gpu).
	Source string `json:"source"`
	// Made are the objects it was turned into: Provisioner gpu.
	Made []string `json:"made,omitempty"`
	// LeftAlone says why it was not imported; empty: it was.
	LeftAlone string `json:"leftAlone,omitempty"`
	// Entries has every leaf of the source exactly once, unless it was left alone.
	Entries []Entry `json:"entries,omitempty"`
}

// Result is what the sources mean here.
type Result struct {
	NodeClasses  []v1alpha1.EC2NodeClass `json:"nodeClasses"`
	Provisioners []v1alpha1.Provisioner  `json:"provisioners"`
	Reports      []Report                `json:"reports"`
}

// Import turns documents into Slipway's objects. Documents that are none of the kinds it reads are reported as left alone. The error joins
// what is wrong with each document; the result then holds the others.
func Import(documents []manifest.Document, c Config) (Result, error) {
	im := &importing{Config: c, classes: map[string]*classSource{}}
	for _, d := range documents {
		if err := im.read(d); err != nil {
			im.errs = append(im.errs, fmt.Errorf("%s: %w", d.Where, err))
		}
	}
	for _, s := range im.sources {
		s.pool(im)
	}
	for _, s := range im.sources {
		s.class(im)
	}
	im.nameClashes()
	return im.result(), errors.Join(im.errs...)
}

// importing is one Import under way.
type importing struct {
	Config
	sources []source
	reports []*Report
	// classes are the sources of node classes by name.
	classes      map[string]*classSource
	provisioners []v1alpha1.Provisioner
	nodeClasses  []v1alpha1.EC2NodeClass
	errs         []error
}

// source is one document. Pools come first, since which classes are needed, and for whom their kubelet settings are, follows from them.
type source interface {
	pool(im *importing)
	class(im *importing)
}

// opened is a document that is read, with the account of its leaves.
type opened struct {
	name   string
	report *Report
	ledger *ledger
}

// leave reports that the source is not imported.
func (o *opened) leave(format string, args ...any) { o.report.LeftAlone = fmt.Sprintf(format, args...) }

// done closes the account.
func (o *opened) done(rules []Rule) {
	if o.report.LeftAlone == "" {
		o.report.Entries = o.ledger.close(rules)
	}
}

// read opens one document as the kind that it is.
func (im *importing) read(d manifest.Document) error {
	group, version, _ := strings.Cut(d.APIVersion, "/")
	report := &Report{Source: d.Where}
	var tree map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.JSON, &tree); err != nil {
		return err
	}
	var head struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.JSON, &head); err != nil {
		return err
	}
	o := opened{name: head.Metadata.Name, report: report, ledger: newLedger(tree)}
	s, err := open(o, group, version, d)
	if err != nil {
		return err
	}
	im.reports = append(im.reports, report)
	switch s := s.(type) {
	case nil:
		o.leave("%s %s is no kind that is imported", d.APIVersion, d.Kind)
		return nil
	case *classSource:
		if have := im.classes[s.name]; have != nil {
			return fmt.Errorf("there is another class of this name in %s: import them apart, and rename one", have.report.Source)
		}
		im.classes[s.name] = s
	}
	im.sources = append(im.sources, s)
	return nil
}

// open decodes a document; nil: it is not of a kind that is imported.
func open(o opened, group, version string, d manifest.Document) (source, error) {
	if o.name == "" && group != "eksctl.io" && group != awsGroup {
		return nil, errors.New("metadata.name is required")
	}
	decode := func(into any) error { return decode(d, o.ledger, into) }
	switch {
	case group == "karpenter.sh" && d.Kind == "NodePool" && (version == "v1" || version == "v1beta1"):
		s := &poolSource{opened: o, beta: version == "v1beta1"}
		return s, cmp.Or(decode(&s.in), unknownOperator(s.in.Spec.Template.Spec.Requirements, poolPaths.requirements))
	case group == "karpenter.k8s.aws" && d.Kind == "EC2NodeClass" && (version == "v1" || version == "v1beta1"):
		s := &classSource{opened: o, beta: version == "v1beta1"}
		return s, decode(&s.in)
	case group == "karpenter.sh" && d.Kind == "Provisioner" && version == "v1alpha5":
		s := &oldPoolSource{opened: o}
		return s, cmp.Or(decode(&s.in), unknownOperator(s.in.Spec.Requirements, oldPaths.requirements))
	case group == "karpenter.k8s.aws" && d.Kind == "AWSNodeTemplate" && version == "v1alpha1":
		s := &classSource{opened: o, old: &nodeTemplate{}}
		return s, decode(s.old)
	case group == "eksctl.io" && d.Kind == "ClusterConfig" && version == "v1alpha5":
		s := &clusterSource{opened: o}
		return s, decode(&s.in)
	case group == awsGroup && d.Kind == "Nodegroup":
		in := &eksNodegroup{}
		return &awsSource{o, in}, decode(in)
	case group == awsGroup && d.Kind == "AutoScalingGroup":
		in := &autoScalingGroup{}
		return &awsSource{o, in}, decode(in)
	}
	return nil, nil
}

// nameClashes finds objects of one name from several sources: one would silently take the other's place.
func (im *importing) nameClashes() {
	clash := func(kind string, names []string) {
		slices.Sort(names)
		for i := 1; i < len(names); i++ {
			if names[i] == names[i-1] {
				im.errs = append(im.errs, fmt.Errorf("several sources make a %s called %s: import them apart, and rename one", kind, names[i]))
			}
		}
	}
	var provisioners, classes []string
	for i := range im.provisioners {
		provisioners = append(provisioners, im.provisioners[i].Name)
	}
	for i := range im.nodeClasses {
		classes = append(classes, im.nodeClasses[i].Name)
	}
	clash("Provisioner", provisioners)
	clash("EC2NodeClass", classes)
}

func (im *importing) result() Result {
	r := Result{NodeClasses: im.nodeClasses, Provisioners: im.provisioners}
	slices.SortStableFunc(r.NodeClasses, func(a, b v1alpha1.EC2NodeClass) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(r.Provisioners, func(a, b v1alpha1.Provisioner) int { return strings.Compare(a.Name, b.Name) })
	for _, report := range im.reports {
		r.Reports = append(r.Reports, *report)
	}
	return r
}

// role is the IAM role of nodes whose source names none.
func (im *importing) role(cluster string) string {
	return cmp.Or(im.NodeRole, "SlipwayNodeRole-"+cmp.Or(im.ClusterName, cluster, "CLUSTER"))
}
