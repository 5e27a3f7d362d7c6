package stack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-sh/slipway/test/cluster/program"
)

// Template is a CloudFormation template.
type Template struct {
	Version     string               `yaml:"AWSTemplateFormatVersion"`
	Description string               `yaml:"Description"`
	Parameters  map[string]Parameter `yaml:"Parameters"`
	Rules       map[string]rule      `yaml:"Rules"`
	Conditions  map[string]yaml.Node `yaml:"Conditions"`
	Resources   map[string]declared  `yaml:"Resources"`
	Outputs     map[string]output    `yaml:"Outputs"`
}

// Parameter is a parameter of type String or CommaDelimitedList. A list's values, with spaces around them cut off, are checked one by one.
type Parameter struct {
	Type           string   `yaml:"Type"`
	Description    string   `yaml:"Description"`
	Default        *string  `yaml:"Default"`
	AllowedValues  []string `yaml:"AllowedValues"`
	AllowedPattern string   `yaml:"AllowedPattern"`
	MaxLength      int      `yaml:"MaxLength"` // characters; 0: no limit
}

type rule struct {
	RuleCondition yaml.Node `yaml:"RuleCondition"`
	Assertions    []struct {
		Assert            yaml.Node `yaml:"Assert"`
		AssertDescription string    `yaml:"AssertDescription"`
	} `yaml:"Assertions"`
}

type declared struct {
	Type       string    `yaml:"Type"`
	Condition  string    `yaml:"Condition"`
	Properties yaml.Node `yaml:"Properties"`
}

type output struct {
	Condition   string    `yaml:"Condition"`
	Description string    `yaml:"Description"`
	Value       yaml.Node `yaml:"Value"`
}

// Slipway reads deploy/cloudformation/slipway.yaml of this checkout.
func Slipway() (*Template, error) {
	root, err := program.Root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "cloudformation", "slipway.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	return Parse(text)
}

// Parse reads a template.
func Parse(text []byte) (*Template, error) {
	var t Template
	read := yaml.NewDecoder(bytes.NewReader(text))
	read.KnownFields(true)
	if err := read.Decode(&t); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	if t.Version != "2010-09-09" {
		return nil, fmt.Errorf("reading the template: AWSTemplateFormatVersion is %q", t.Version)
	}
	return &t, nil
}

// Place is where a stack is made: what the pseudo parameters answer.
type Place struct{ Partition, Region, Account, URLSuffix string }

// Fake is the place that fakeaws plays.
func Fake() Place {
	return Place{Partition: "aws", Region: "us-east-1", Account: "123456789012", URLSuffix: "amazonaws.com"}
}

// settle answers each parameter's value, given or default, a text or a list of them, and what is wrong with them.
func (t *Template) settle(given map[string]string) (map[string]any, error) {
	values := map[string]any{}
	var errs []error
	for name := range given {
		if _, known := t.Parameters[name]; !known {
			errs = append(errs, fmt.Errorf("there is no parameter %s", name))
		}
	}
	for name, p := range t.Parameters {
		value, set := given[name]
		switch {
		case !set && p.Default == nil:
			errs = append(errs, fmt.Errorf("parameter %s must have a value", name))
			continue
		case !set:
			value = *p.Default
		}
		members := []string{value}
		values[name] = value
		if p.Type == "CommaDelimitedList" {
			members = strings.Split(value, ",")
			list := []any{}
			for i, member := range members {
				members[i] = strings.TrimSpace(member)
				list = append(list, members[i])
			}
			values[name] = list
		}
		for _, member := range members {
			if err := p.check(member); err != nil {
				errs = append(errs, fmt.Errorf("parameter %s: %w", name, err))
			}
		}
	}
	return values, errors.Join(errs...)
}

func (p Parameter) check(value string) error {
	pattern, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$")
	switch {
	case p.Type != "String" && p.Type != "CommaDelimitedList":
		return fmt.Errorf("type %q is not known here", p.Type)
	case err != nil:
		return err
	case len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, value):
		return fmt.Errorf("%q is none of %q", value, p.AllowedValues)
	case p.AllowedPattern != "" && !pattern.MatchString(value):
		return fmt.Errorf("%q does not match %s", value, p.AllowedPattern)
	case p.MaxLength > 0 && len(value) > p.MaxLength:
		return errors.New("it has more than " + strconv.Itoa(p.MaxLength) + " characters")
	}
	return nil
}
