package terraform

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-sh/slipway/test/stack"
)

// Instance is one instance of a resource, as it would be made.
type Instance struct {
	Type, Name string
	// Key is that of for_each, the number of count, or empty.
	Key string
	// Arguments are those given, Attributes these and those that AWS would make up.
	Arguments, Attributes map[string]cty.Value
}

// Plan is a module with its variables filled in.
type Plan struct {
	Instances []Instance // sorted by type, name and key
	Outputs   map[string]cty.Value
}

// Plan fills the module in.
func (m *Module) Plan(place stack.Place, given map[string]cty.Value) (*Plan, error) {
	values, err := m.settle(given)
	if err != nil {
		return nil, err
	}
	e := &evaluation{module: m, place: place, values: values, known: map[string]cty.Value{}, open: map[string]bool{}}
	plan := &Plan{Outputs: map[string]cty.Value{}}
	for _, address := range slices.Sorted(maps.Keys(m.resources)) {
		if _, err := e.resolve(address); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.locals)) {
		if _, err := e.resolve("local." + name); err != nil {
			return nil, err
		}
	}
	for name, expression := range m.outputs {
		if plan.Outputs[name], err = e.value(expression, nil); err != nil {
			return nil, fmt.Errorf("output %s: %w", name, err)
		}
	}
	slices.SortFunc(e.made, func(a, b Instance) int {
		return slices.Compare([]string{a.Type, a.Name, a.Key}, []string{b.Type, b.Name, b.Key})
	})
	plan.Instances = e.made
	return plan, nil
}

// evaluation is one filling in of a module. What an expression refers to is evaluated before it.
type evaluation struct {
	module *Module
	place  stack.Place
	values cty.Value
	known  map[string]cty.Value // by address: local.name, data.type.name, type.name
	open   map[string]bool      // what is being evaluated
	made   []Instance
}

// value answers what an expression comes to; scope has each, or count.
func (e *evaluation) value(expression hcl.Expression, scope map[string]cty.Value) (cty.Value, error) {
	roots := map[string]map[string]cty.Value{}
	variables := map[string]cty.Value{"var": e.values, "path": cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(".")})}
	maps.Copy(variables, scope)
	data := map[string]map[string]cty.Value{}
	for _, t := range expression.Variables() {
		root := t.RootName()
		if _, given := variables[root]; given {
			continue
		}
		names, err := attributes(t)
		if err != nil {
			return cty.NilVal, err
		}
		address, into := root+"."+names[0], roots
		if root == "data" {
			address, into, root, names = address+"."+names[1], data, names[0], names[1:]
		}
		value, err := e.resolve(address)
		if err != nil {
			return cty.NilVal, err
		}
		if into[root] == nil {
			into[root] = map[string]cty.Value{}
		}
		into[root][names[0]] = value
	}
	for root, members := range roots {
		variables[root] = cty.ObjectVal(members)
	}
	kinds := map[string]cty.Value{}
	for kind, members := range data {
		kinds[kind] = cty.ObjectVal(members)
	}
	variables["data"] = cty.ObjectVal(kinds)
	value, problems := expression.Value(&hcl.EvalContext{Variables: variables, Functions: functions(e.module.files)})
	return value, asError(problems)
}

// attributes answers the names after the root of a reference: one, or of data two.
func attributes(t hcl.Traversal) ([]string, error) {
	want := 1
	if t.RootName() == "data" {
		want = 2
	}
	var names []string
	for _, step := range t[1:] {
		if a, isAttribute := step.(hcl.TraverseAttr); isAttribute && len(names) < want {
			names = append(names, a.Name)
		}
	}
	if len(names) < want {
		return nil, fmt.Errorf("%s: the reference to %s names nothing", t.SourceRange(), t.RootName())
	}
	return names, nil
}

// resolve answers what stands at an address.
func (e *evaluation) resolve(address string) (value cty.Value, err error) {
	if value, known := e.known[address]; known {
		return value, nil
	}
	if e.open[address] {
		return cty.NilVal, fmt.Errorf("%s refers to itself", address)
	}
	e.open[address] = true
	defer func() {
		delete(e.open, address)
		e.known[address] = value
		if err != nil {
			delete(e.known, address)
			err = fmt.Errorf("%s: %w", address, err)
		}
	}()
	var name, kind string
	switch {
	case cut(address, "local.", &name) && e.module.locals[name] != nil:
		return e.value(e.module.locals[name], nil)
	case cut(address, "data.", &kind) && e.module.data[kind] != nil:
		return dataSource(e.place, kind)
	case e.module.resources[address] != nil:
		return e.resource(address, e.module.resources[address])
	}
	return cty.NilVal, errors.New("there is no such thing")
}

// resource makes the instances of a resource.
func (e *evaluation) resource(address string, body *hclsyntax.Body) (cty.Value, error) {
	if a := body.Attributes["count"]; a != nil {
		count, err := e.value(a.Expr, nil)
		if err != nil {
			return cty.NilVal, err
		}
		number, _ := count.AsBigFloat().Int64()
		instances := []cty.Value{}
		for i := range number {
			value, err := e.instance(address, strconv.FormatInt(i, 10), map[string]cty.Value{
				"count": cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(i)})})
			if err != nil {
				return cty.NilVal, err
			}
			instances = append(instances, value)
		}
		return cty.TupleVal(instances), nil
	}
	a := body.Attributes["for_each"]
	if a == nil {
		return e.instance(address, "", nil)
	}
	all, err := e.value(a.Expr, nil)
	if err != nil {
		return cty.NilVal, err
	}
	instances := map[string]cty.Value{}
	for it := all.ElementIterator(); it.Next(); {
		key, value := it.Element()
		instances[key.AsString()], err = e.instance(address, key.AsString(), map[string]cty.Value{
			"each": cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})})
		if err != nil {
			return cty.NilVal, err
		}
	}
	return cty.ObjectVal(instances), nil
}

func (e *evaluation) instance(address, key string, scope map[string]cty.Value) (cty.Value, error) {
	body := e.module.resources[address]
	i := Instance{Key: key, Arguments: map[string]cty.Value{}}
	i.Type, i.Name = split(address)
	for name, a := range body.Attributes {
		if name == "count" || name == "for_each" {
			continue
		}
		if !slices.Contains(arguments[i.Type], name) {
			return cty.NilVal, fmt.Errorf("%s: a %s has no argument %s", a.NameRange, i.Type, name)
		}
		value, err := e.value(a.Expr, scope)
		if err != nil {
			return cty.NilVal, err
		}
		i.Arguments[name] = value
	}
	for _, b := range body.Blocks {
		if b.Type != "lifecycle" {
			return cty.NilVal, fmt.Errorf("%s: a block %s is not known here", b.DefRange(), b.Type)
		}
		err := conditions(b.Body, "precondition", func(x hcl.Expression) (cty.Value, error) { return e.value(x, scope) })
		if err != nil {
			return cty.NilVal, err
		}
	}
	i.Attributes = maps.Clone(i.Arguments)
	if err := madeUp(e.place, &i); err != nil {
		return cty.NilVal, err
	}
	e.made = append(e.made, i)
	return cty.ObjectVal(i.Attributes), nil
}
