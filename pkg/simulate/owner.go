package simulate

import (
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// name is how an object is called in a Result: Kind/name, and Kind/namespace/name outside of the namespace default.
func name(kind, namespace, name string) string {
	if namespace == "" || namespace == metav1.NamespaceDefault {
		return kind + "/" + name
	}
	return kind + "/" + namespace + "/" + name
}

// ownerOf is the workload that a pod belongs to, as far as the pod tells.
func ownerOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return name("Pod", pod.Namespace, pod.Name)
	}
	hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if short, ok := strings.CutSuffix(owner.Name, "-"+hash); ok && owner.Kind == "ReplicaSet" && hash != "" {
		return name("Deployment", pod.Namespace, short)
	}
	return name(owner.Kind, pod.Namespace, owner.Name)
}

// generated is what controllers append to the names of their pods: ordinals, five characters that kube-apiserver drew, a Deployment's hash.
var generated = regexp.MustCompile(`^(.+?)(-[a-f0-9]{8,10})?(-[0-9]+|-[bcdfghjklmnpqrstvwxz2456789]{5})$`)

// guessed is the workload that a pod of a recorded View belongs to: a View knows no owners.
func guessed(namespace, pod string) string {
	if m := generated.FindStringSubmatch(pod); m != nil {
		return name("Pods", namespace, m[1]+"-*")
	}
	return name("Pod", namespace, pod)
}
