package judge
import ("testing";"encoding/json")
func TestDbg(t *testing.T) {
	w := worldOf(*first, asked(*only)...)
	v, _ := w.view(t.Context())
	for _, d := range v.Demands { b,_ := json.Marshal(d.Neighbours); t.Log(d.Pods[0].Name, string(b)) }
	for _, n := range v.Nodes { b,_ := json.Marshal(n.Apart); t.Log(n.Name, string(b), n.Open) }
}
