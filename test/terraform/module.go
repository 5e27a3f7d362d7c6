package terraform

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Module is a directory of .tf files, parsed.
type Module struct {
	files     fs.FS
	variables map[string]*hclsyntax.Body
	locals    map[string]hcl.Expression
	data      map[string]*hclsyntax.Body // by type.name
	resources map[string]*hclsyntax.Body // by type.name
	outputs   map[string]hcl.Expression
}

// Load parses a module.
func Load(files fs.FS) (*Module, error) {
	names, err := fs.Glob(files, "*.tf")
	if err != nil {
		return nil, fmt.Errorf("looking for the module: %w", err)
	}
	m := &Module{files: files, variables: map[string]*hclsyntax.Body{}, locals: map[string]hcl.Expression{}, data: map[string]*hclsyntax.Body{},
		resources: map[string]*hclsyntax.Body{}, outputs: map[string]hcl.Expression{}}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("reading the module: %w", err)
		}
		file, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			return nil, fmt.Errorf("parsing the module: %w", problems)
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			if err := m.add(block); err != nil {
				return nil, fmt.Errorf("%s: %w", block.DefRange(), err)
			}
		}
	}
	return m, nil
}

func (m *Module) add(b *hclsyntax.Block) error {
	labels := map[string]int{"terraform": 0, "locals": 0, "variable": 1, "output": 1, "data": 2, "resource": 2}
	if count, known := labels[b.Type]; !known || len(b.Labels) != count {
		return fmt.Errorf("a block %s with %d labels is not known here", b.Type, len(b.Labels))
	}
	switch b.Type {
	case "locals":
		for name, a := range b.Body.Attributes {
			if m.locals[name] != nil {
				return fmt.Errorf("local.%s is there twice", name)
			}
			m.locals[name] = a.Expr
		}
	case "variable":
		m.variables[b.Labels[0]] = b.Body
	case "output":
		value := b.Body.Attributes["value"]
		if value == nil {
			return errors.New("the output has no value")
		}
		m.outputs[b.Labels[0]] = value.Expr
	case "data", "resource":
		into, key := m.resources, b.Labels[0]+"."+b.Labels[1]
		if b.Type == "data" {
			into = m.data
		}
		if into[key] != nil {
			return fmt.Errorf("%s is there twice", key)
		}
		into[key] = b.Body
	}
	return nil
}

// settle answers each variable's value, given or default, and what is wrong with them.
func (m *Module) settle(given map[string]cty.Value) (cty.Value, error) {
	values := map[string]cty.Value{}
	var errs []error
	for name := range given {
		if m.variables[name] == nil {
			errs = append(errs, fmt.Errorf("there is no variable %s", name))
		}
	}
	for name, body := range m.variables {
		value, set := given[name]
		if fallback := body.Attributes["default"]; !set {
			if fallback == nil {
				errs = append(errs, fmt.Errorf("variable %s must have a value", name))
				continue
			}
			var problems hcl.Diagnostics
			if value, problems = fallback.Expr.Value(nil); problems.HasErrors() {
				errs = append(errs, problems)
			}
		}
		want, problems := typeexpr.TypeConstraint(body.Attributes["type"].Expr)
		if problems.HasErrors() {
			errs = append(errs, problems)
			continue
		}
		if want.IsListType() && value.Type().IsTupleType() { // as a literal list is in HCL
			var err error
			if value, err = convert.Convert(value, want); err != nil {
				errs = append(errs, fmt.Errorf("variable %s: %w", name, err))
				continue
			}
		}
		if !value.Type().Equals(want) {
			errs = append(errs, fmt.Errorf("variable %s: it is %s", name, value.Type().FriendlyName()))
		}
		values[name] = value
	}
	all := cty.ObjectVal(values)
	scope := &hcl.EvalContext{Variables: map[string]cty.Value{"var": all}, Functions: functions(m.files)}
	for _, body := range m.variables {
		errs = append(errs, conditions(body, "validation", func(e hcl.Expression) (cty.Value, error) {
			value, problems := e.Value(scope)
			return value, asError(problems)
		}))
	}
	return all, errors.Join(errs...)
}

// conditions says which conditions of the blocks of one type do not hold.
func conditions(body *hclsyntax.Body, kind string, evaluate func(hcl.Expression) (cty.Value, error)) error {
	var errs []error
	for _, b := range body.Blocks {
		if b.Type != kind {
			errs = append(errs, fmt.Errorf("%s: a block %s is not known here", b.DefRange(), b.Type))
			continue
		}
		holds, err := evaluate(b.Body.Attributes["condition"].Expr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if holds.False() {
			message, err := evaluate(b.Body.Attributes["error_message"].Expr)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, errors.New(message.AsString()))
		}
	}
	return errors.Join(errs...)
}

func asError(problems hcl.Diagnostics) error {
	if problems.HasErrors() {
		return problems
	}
	return nil
}
