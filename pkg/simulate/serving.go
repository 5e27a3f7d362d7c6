package simulate

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// rayCluster is a head, and each group's replicas x hosts.
func rayCluster(w *workload, spec content) error {
	head, err := spec.at("headGroupSpec")
	if err != nil {
		return err
	}
	cluster := map[string]string{"ray.io/cluster": w.object.GetName()}
	if err := w.group(head, "head", "", "template", cluster); err != nil {
		return err
	}
	groups, err := spec.list("workerGroupSpecs")
	if err != nil {
		return err
	}
	for _, g := range groups {
		least, err := g.count("minReplicas", 0)
		if err != nil {
			return err
		}
		n, err := g.count("replicas", least)
		if err != nil {
			return err
		}
		hosts, err := g.count("numOfHosts", 1)
		if err != nil {
			return err
		}
		if n < 0 || hosts < 0 || n > maxPods || hosts > maxPods {
			return fmt.Errorf("%s: %d replicas of %d hosts", g.path, n, hosts)
		}
		t, err := g.template("template")
		if err != nil {
			return err
		}
		w.groups = append(w.groups, replicas{role: g.text("groupName"), count: n * hosts, template: labelled(t, cluster)})
	}
	if on, _ := spec.value["enableInTreeAutoscaling"].(bool); on {
		w.note = "at spec.workerGroupSpecs[].replicas; Ray's autoscaler may want more later"
	}
	return nil
}

func rayWithin(field string) func(*workload, content) error {
	return func(w *workload, spec content) error {
		cluster, err := spec.at(field)
		if err != nil {
			return err
		}
		if len(cluster.value) == 0 {
			return opaque("it has no %s.%s: it runs on a cluster that is there", spec.path, field)
		}
		return rayCluster(w, cluster)
	}
}

// servers are the fields of a KServe predictor that stand for a model server.
var servers = []string{"model", "huggingface", "lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "triton", "xgboost"}

// inferenceService is minReplicas of the predictor: with its own containers, or with the resources that its model asks for, where the
// container itself comes from a ServingRuntime.
func inferenceService(w *workload, spec content) error {
	predictor, err := spec.at("predictor")
	if err != nil {
		return err
	}
	n, err := predictor.count("minReplicas", 1)
	if err != nil {
		return err
	}
	if n == 0 {
		w.note = "scaled to zero (spec.predictor.minReplicas is 0), so it has no pod"
	}
	var pod corev1.PodSpec
	own := map[string]any{}
	for _, field := range []string{"containers", "initContainers", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints",
		"volumes", "priorityClassName", "runtimeClassName", "schedulerName", "hostNetwork"} {
		if value, ok := predictor.value[field]; ok {
			own[field] = value
		}
	}
	if err := (content{map[string]any{"predictor": own}, "spec"}).decode("predictor", &pod); err != nil {
		return err
	}
	i := slices.IndexFunc(servers, func(field string) bool { _, ok := predictor.value[field]; return ok })
	if i >= 0 {
		server, err := predictor.at(servers[i])
		if err != nil {
			return err
		}
		if _, asks := server.value["resources"]; !asks {
			return opaque("its container comes from a ServingRuntime; set %s.resources, or give a Deployment", server.path)
		}
		container := corev1.Container{Name: "kserve-container"}
		if err := server.decode("resources", &container.Resources); err != nil {
			return err
		}
		pod.Containers = append(pod.Containers, container)
		w.note = "with the resources of its model; what its ServingRuntime adds is not known"
	}
	if len(pod.Containers) == 0 {
		return opaque("%s has neither containers nor a model", predictor.path)
	}
	if _, workers := predictor.value["workerSpec"]; workers {
		return opaque("it serves from several nodes (spec.predictor.workerSpec); give a LeaderWorkerSet like it")
	}
	template := corev1.PodTemplateSpec{Spec: pod}
	template.Labels = map[string]string{"serving.kserve.io/inferenceservice": w.object.GetName()}
	w.groups = []replicas{{role: "predictor", count: n, template: template}}
	for _, part := range []string{"transformer", "explainer"} {
		if _, has := spec.value[part]; has {
			w.note = "its predictor only; " + w.note
		}
	}
	return nil
}
