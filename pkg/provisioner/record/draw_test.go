package record

import (
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

var noon = time.Date(2026, 8, 23, 12, 0, 0, 123456789, time.UTC)

// fill draws a value of any type that a View is made of, so that a field which somebody adds tomorrow is drawn, too.
func fill(t *rapid.T, v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(drawTime(t)))
		return
	case metav1.Time: // seconds is all that the API keeps
		v.Set(reflect.ValueOf(metav1.NewTime(drawTime(t).Truncate(time.Second))))
		return
	case metav1.MicroTime:
		v.Set(reflect.ValueOf(metav1.NewMicroTime(drawTime(t).Truncate(time.Microsecond))))
		return
	case resource.Quantity:
		text := rapid.SampledFrom([]string{"0", "1", "100m", "1500m", "3Gi", "1Ti", "157800u", "9E", "-1", "1e3"}).Draw(t, "quantity")
		v.Set(reflect.ValueOf(resource.MustParse(text)))
		return
	case []metav1.ManagedFieldsEntry:
		return // the caches do not keep managed fields
	}
	switch v.Kind() {
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth)
			if at, ok := v.Interface().(*metav1.Time); ok && at.IsZero() {
				v.SetZero() // the API writes both as null
			}
		}
	case reflect.Slice:
		fillSlice(t, v, depth)
	case reflect.Map:
		if n := rapid.IntRange(-1, 2).Draw(t, "size"); n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(t, key, depth+1)
				fill(t, value, depth+1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), depth)
		}
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "a", "g4dn.xlarge", "<&>\u2028é\"\\", "1.5"}).Draw(t, "text"))
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Int16, reflect.Int8:
		n := rapid.Int64().Draw(t, "n")
		v.SetInt(n >> (64 - v.Type().Bits()))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	default:
		t.Fatalf("a View holds a %s, which this test cannot draw", v.Type())
	}
}

func fillSlice(t *rapid.T, v reflect.Value, depth int) {
	most := 2
	if depth > 4 {
		most = 0
	}
	n := rapid.IntRange(-1, most).Draw(t, "length")
	if n < 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		fill(t, v.Index(i), depth+1)
	}
}

func drawTime(t *rapid.T) time.Time {
	switch rapid.IntRange(0, 3).Draw(t, "when") {
	case 0:
		return time.Time{}
	case 1:
		return noon.In(time.FixedZone("", 2*3600))
	default:
		return noon.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, "nanoseconds")))
	}
}

// drawCluster draws a View about which there is something to decide: pods wait, limits bind, offerings are closed, some have refused
// a node, a claim is on its way.
func drawCluster(t *rapid.T) plan.View {
	v := plan.View{Now: noon, Region: "us-east-1"}
	facts := catalogue.Embedded()
	for _, name := range []string{"g4dn.12xlarge", "g4dn.xlarge", "g5.2xlarge", "p3.8xlarge"} {
		kind, _ := facts.Type(name)
		v.Types = append(v.Types, kind)
	}
	for _, o := range facts.Offerings(v.Region) {
		if o.InstanceType != "g4dn.12xlarge" && o.InstanceType != "g4dn.xlarge" && o.InstanceType != "g5.2xlarge" && o.InstanceType != "p3.8xlarge" {
			continue
		}
		offering := plan.Offering{Offering: o, Stock: -1}
		if rapid.IntRange(0, 3).Draw(t, "closed") == 0 {
			offering.Closed = v1alpha1.HeldStockout
			offering.Until = noon.Add(time.Duration(rapid.Int64Range(-1e10, 1e11).Draw(t, "until")))
		}
		v.Offerings = append(v.Offerings, offering)
	}
	p := plan.Provisioner{Zones: []string{"us-east-1a", "us-east-1b"}, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: 100},
		Object: v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu", UID: "u-gpu", CreationTimestamp: metav1.NewTime(noon.Truncate(time.Second))}}}
	p.Object.Spec.NodeClassRef.Name = "default"
	p.Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: *resource.NewQuantity(rapid.Int64Range(0, 30).Draw(t, "limit"), resource.DecimalSI),
		v1alpha1.LimitCostPerHour: resource.MustParse("12.345678")}
	if rapid.Bool().Draw(t, "spot") {
		p.Object.Spec.Requirements = []corev1.NodeSelectorRequirement{{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn, Values: []string{"spot"}}}
	}
	v.Provisioners = []plan.Provisioner{p}
	v.Refused = map[types.UID]plan.Refusal{}
	for i := range rapid.IntRange(1, 4).Draw(t, "demands") {
		v.Demands = append(v.Demands, drawDemand(t, i, v.Refused))
	}
	if rapid.Bool().Draw(t, "daemons") {
		v.Daemons = []demand.Daemon{{Namespace: "kube-system", Name: "agent", Requests: demand.Resources{corev1.ResourceCPU: 250, corev1.ResourcePods: 1}}}
	}
	return v
}

func drawDemand(t *rapid.T, i int, refused map[types.UID]plan.Refusal) demand.Demand {
	d := demand.Demand{Key: fmt.Sprintf("d%d", i), Requests: demand.Resources{
		corev1.ResourceCPU: rapid.Int64Range(100, 9000).Draw(t, "cpu"), corev1.ResourcePods: 1,
		v1alpha1.ResourceGPU: 1000 * rapid.SampledFrom([]int64{1, 1, 2, 4, 16}).Draw(t, "gpus")}}
	for n := range rapid.IntRange(1, 5).Draw(t, "pods") {
		name := fmt.Sprintf("p%d-%d", i, n)
		d.Pods = append(d.Pods, demand.Pod{Namespace: "default", Name: name, UID: types.UID(name), Since: noon.Add(-time.Duration(i) * time.Second)})
		if rapid.IntRange(0, 3).Draw(t, "refused") == 0 {
			refused[types.UID(name)] = plan.Refusal{Node: "n1", Message: "Insufficient cpu <&>", Until: noon.Add(
				time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "refusal")))}
		}
	}
	return d
}
