package plan

// MatchingTypes answers, for each usable Provisioner, how many instance types it can buy somewhere. 0 says that its requirements
// exclude everything.
func MatchingTypes(v View) map[string]int {
	view := canonical(v)
	list := pools(view, referencedValues(view.Demands))
	types := map[string]map[string]bool{}
	for _, p := range list {
		types[p.provisioner.Object.Name] = map[string]bool{}
	}
	for _, o := range offers(view, list) {
		types[o.pool.provisioner.Object.Name][o.kind.Name] = true
	}
	count := make(map[string]int, len(types))
	for name, set := range types {
		count[name] = len(set)
	}
	return count
}
