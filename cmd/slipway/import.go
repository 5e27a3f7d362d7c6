package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/manifest"
	"github.com/slipway-sh/slipway/pkg/migrate"
)

// importFlags are the flags of `slipway import`.
type importFlags struct {
	files      []string
	groups     []string
	cluster    bool
	kubeconfig string
	directory  string
	report     string
	migrate    migrate.Config
}

// errNothing: there is nothing to read, which no empty result may hide.
var errNothing = errors.New("nothing to import: there is no object in the files, nor one of Karpenter's in the cluster; " +
	"node groups of cluster-autoscaler are in none: use --filename with eksctl's ClusterConfig, or --node-groups")

const importHelp = `Write Provisioners and EC2NodeClasses that mean what Karpenter's objects or node groups mean, and list what differs.

It reads NodePools and EC2NodeClasses of Karpenter (v1, v1beta1), Provisioners (v1alpha5) and AWSNodeTemplates (v1alpha1), and node groups, which
cluster-autoscaler scales, of eksctl's ClusterConfigs or as AWS describes them. What is not about GPUs is left alone. Every field of a source is reported once, as carried,
approximated or not carried, on stderr. Nothing is applied: read the report, then use kubectl apply.`

const importExamples = `  kubectl get nodepools,ec2nodeclasses.karpenter.k8s.aws -o yaml | slipway import -f - > slipway.yaml
  slipway import --cluster -o slipway/
  aws eks describe-nodegroup --cluster-name demo --nodegroup-name gpu | slipway import --node-groups - > slipway.yaml
  slipway import -f cluster.yaml --node-role SlipwayNodeRole-demo --report json 2> report.json`

func importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import", Short: "Turn Karpenter's objects and node groups into Slipway's, and list what differs",
		Long: importHelp, Example: importExamples, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "manifest, directory of manifests at any depth, or - for stdin; repeatable")
	flags.StringArrayVar(&f.groups, "node-groups", nil, "JSON of aws eks describe-nodegroup or aws autoscaling describe-auto-scaling-groups, or - for stdin; repeatable")
	flags.BoolVar(&f.cluster, "cluster", false, "read Karpenter's objects from a live cluster; nothing is written to it")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file of the live cluster; empty: $KUBECONFIG, then ~/.kube/config")
	flags.StringVarP(&f.directory, "output-directory", "o", "", "directory for one file for each object, none of which may exist; empty: stdout")
	flags.StringVar(&f.report, "report", "table", "what is said on stderr of each field: table, json or none")
	flags.StringVar(&f.migrate.ClusterName, "cluster-name", "", "name of the EKS cluster, for role and tags where the source names none")
	flags.StringVar(&f.migrate.NodeRole, "node-role", "", "IAM role of nodes where the source names none; empty: SlipwayNodeRole- and the cluster's name")
	flags.BoolVar(&f.migrate.All, "all", false, "import pools too that could launch machines with GPUs but name none")
	return cmd
}

func (f *importFlags) run(ctx context.Context, stdin io.Reader, out, report io.Writer) error {
	if f.report != "table" && f.report != "json" && f.report != "none" {
		return fmt.Errorf("--report %q: use table, json or none", f.report)
	}
	if len(f.files)+len(f.groups) == 0 && !f.cluster {
		return errors.New("nothing to import: use --filename, --node-groups or --cluster")
	}
	documents, err := manifest.Read(f.files, stdin)
	if err != nil {
		return err
	}
	for _, name := range f.groups {
		groups, err := readGroups(name, stdin)
		if err != nil {
			return err
		}
		documents = append(documents, groups...)
	}
	if f.cluster {
		live, err := f.live(ctx)
		if err != nil {
			return err
		}
		documents = append(documents, live...)
	}
	if len(documents) == 0 {
		return errNothing
	}
	result, err := migrate.Import(documents, f.migrate)
	if err != nil {
		return err
	}
	return errors.Join(f.write(&result, out), f.say(&result, report))
}

func readGroups(name string, stdin io.Reader) ([]manifest.Document, error) {
	if name == "-" {
		return migrate.ReadGroups("stdin", stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading node groups: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return migrate.ReadGroups(name, file)
}

func (f *importFlags) say(result *migrate.Result, to io.Writer) error {
	switch f.report {
	case "none":
		return nil
	case "json":
		encoder := json.NewEncoder(to)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(result.Reports)
	}
	return result.WriteText(to)
}

// write writes the manifests. A file that exists may hold what somebody has corrected since, so it is not written over.
func (f *importFlags) write(result *migrate.Result, out io.Writer) error {
	if f.directory == "" {
		return result.WriteManifests(out)
	}
	files, err := result.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.directory, 0o755); err != nil {
		return fmt.Errorf("making --output-directory: %w", err)
	}
	for _, file := range files {
		to, err := os.OpenFile(filepath.Join(f.directory, file.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("writing manifests (choose an empty --output-directory): %w", err)
		}
		_, err = to.Write(file.YAML)
		if err := errors.Join(err, to.Close()); err != nil {
			return fmt.Errorf("writing manifests: %w", err)
		}
	}
	return nil
}

// imported are the kinds that --cluster looks for, the newest version of each first.
var imported = []struct {
	group, kind string
	versions    []string
}{
	{"karpenter.k8s.aws", "EC2NodeClass", []string{"v1", "v1beta1"}},
	{"karpenter.sh", "NodePool", []string{"v1", "v1beta1"}},
	{"karpenter.k8s.aws", "AWSNodeTemplate", []string{"v1alpha1"}},
	{"karpenter.sh", "Provisioner", []string{"v1alpha5"}},
}

// live reads what a cluster has of the kinds that are imported, each in one version.
func (f *importFlags) live(ctx context.Context) ([]manifest.Document, error) {
	config, err := (&controllerFlags{kubeconfig: f.kubeconfig}).kubernetes()
	if err != nil {
		return nil, err
	}
	reader, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	var documents []manifest.Document
	for _, kind := range imported {
		for _, version := range kind.versions {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.group, Version: version, Kind: kind.kind + "List"})
			err := reader.List(ctx, list)
			if meta.IsNoMatchError(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("listing %s of %s: %w", kind.kind, kind.group, err)
			}
			for i := range list.Items {
				text, err := list.Items[i].MarshalJSON()
				if err != nil {
					return nil, fmt.Errorf("reading %s %s: %w", kind.kind, list.Items[i].GetName(), err)
				}
				documents = append(documents, manifest.Document{APIVersion: list.Items[i].GetAPIVersion(), Kind: kind.kind, JSON: text,
					Where: "cluster (" + kind.kind + " " + list.Items[i].GetName() + ")"})
			}
			break
		}
	}
	return documents, nil
}
