package migrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// File is one object as a manifest.
type File struct {
	// Name is that of the file: provisioner-gpu.yaml.
	Name string
	// YAML is one document, without what is empty.
	YAML []byte
}

// Files are the objects as manifests: EC2NodeClasses first, then Provisioners, each by name.
func (r *Result) Files() ([]File, error) {
	var files []File
	add := func(kind, name string, object any) error {
		text, err := document(object)
		if err != nil {
			return fmt.Errorf("writing %s %s: %w", kind, name, err)
		}
		files = append(files, File{Name: strings.ToLower(kind) + "-" + name + ".yaml", YAML: text})
		return nil
	}
	for i := range r.NodeClasses {
		if err := add("EC2NodeClass", r.NodeClasses[i].Name, &r.NodeClasses[i]); err != nil {
			return nil, err
		}
	}
	for i := range r.Provisioners {
		if err := add("Provisioner", r.Provisioners[i].Name, &r.Provisioners[i]); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// WriteManifests writes the objects as one YAML stream.
func (r *Result) WriteManifests(to io.Writer) error {
	files, err := r.Files()
	if err != nil {
		return err
	}
	for i, f := range files {
		if i > 0 {
			if _, err := io.WriteString(to, "---\n"); err != nil {
				return err
			}
		}
		if _, err := to.Write(f.YAML); err != nil {
			return err
		}
	}
	return nil
}

// document writes an object without its status and what is empty.
func document(object any) ([]byte, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // integers stay as they are written
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	delete(tree, "status")
	prune(tree)
	return yaml.Marshal(tree)
}

// prune takes out nulls and empty objects. None of them says anything in Slipway's API; an empty text may, as the value of a label.
func prune(tree map[string]any) {
	for key, value := range tree {
		if inner, ok := value.(map[string]any); ok {
			prune(inner)
			if len(inner) == 0 {
				delete(tree, key)
			}
		} else if value == nil {
			delete(tree, key)
		}
	}
}

// sections are the outcomes in the order in which a reader needs them.
var sections = []struct {
	outcome Outcome
	title   string
}{
	{NotCarried, "not carried"}, {Approximated, "approximated"}, {Carried, "carried"}, {LeftOut, "left out"},
}

// Count answers how many entries of all reports came to an outcome.
func (r *Result) Count(o Outcome) int {
	n := 0
	for _, report := range r.Reports {
		for _, e := range report.Entries {
			if e.Outcome == o {
				n++
			}
		}
	}
	return n
}

// WriteText writes the reports for people: for each source what it became, first what is lost, last what needs no thought.
func (r *Result) WriteText(to io.Writer) error {
	var b strings.Builder
	alone := 0
	for _, report := range r.Reports {
		if report.LeftAlone != "" {
			alone++
			fmt.Fprintf(&b, "%s: left alone\n    %s\n\n", report.Source, report.LeftAlone)
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", report.Source, strings.Join(report.Made, ", "))
		for _, section := range sections {
			writeSection(&b, report.Entries, section.outcome, section.title)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d Provisioners and %d EC2NodeClasses from %d sources, %d left alone; %d fields carried, %d approximated, %d not carried\n",
		len(r.Provisioners), len(r.NodeClasses), len(r.Reports), alone, r.Count(Carried), r.Count(Approximated), r.Count(NotCarried))
	_, err := io.WriteString(to, b.String())
	return err
}

func writeSection(b *strings.Builder, entries []Entry, outcome Outcome, title string) {
	for _, e := range entries {
		if e.Outcome != outcome {
			continue
		}
		if title != "" {
			fmt.Fprintf(b, "  %s\n", title)
			title = ""
		}
		b.WriteString("    " + e.Field)
		if e.Value != "" && outcome != LeftOut {
			b.WriteString(" = " + e.Value)
		}
		if e.Ours != "" && e.Ours != e.Field {
			b.WriteString(" -> " + e.Ours)
		}
		b.WriteByte('\n')
		if e.Message != "" && outcome != LeftOut {
			b.WriteString("        " + e.Message + "\n")
		}
	}
}
