package claim

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// diagnoseGPUs answers, for people, why a node does not show its GPUs.
func (s *scope) diagnoseGPUs(ctx context.Context, node *corev1.Node) (string, error) {
	if s.gpusOn(node) > int64(s.claim.Spec.GPUs) {
		return "its device plugin shows more GPUs than the machine has: GPU sharing (time-slicing, MPS) is on; " +
			"give shared GPUs a resource name of their own", nil
	}
	pods, err := s.podsOn(ctx, node.Name)
	if err != nil {
		return "", err
	}
	var plugins []*corev1.Pod
	for _, pod := range pods {
		if isDevicePlugin(pod) {
			plugins = append(plugins, pod)
		}
	}
	if len(plugins) == 0 {
		return fmt.Sprintf("no device plugin runs on it: no pod there has an image that is one; install a DaemonSet that makes %s appear, "+
			"and see that it tolerates the taints of node %s", s.gpuResource(), node.Name), nil
	}
	for _, pod := range plugins {
		if trouble := podTrouble(pod); trouble != "" {
			return fmt.Sprintf("its device plugin %s/%s is not running: %s", pod.Namespace, pod.Name, trouble), nil
		}
	}
	if s.gpusOn(node) == 0 {
		return fmt.Sprintf("its device plugin %s/%s runs and finds no GPU; is the driver in the image (%s)?", plugins[0].Namespace,
			plugins[0].Name, s.claim.Status.ImageID), nil
	}
	return fmt.Sprintf("its device plugin %s/%s runs and finds some GPUs unhealthy; the machine is probably broken (look for Xid in "+
		"its kernel log)", plugins[0].Namespace, plugins[0].Name), nil
}

// isDevicePlugin goes by the images of NVIDIA's, AMD's and the GPU operator's device plugins: k8s-device-plugin, device-plugin.
func isDevicePlugin(pod *corev1.Pod) bool {
	for _, c := range pod.Spec.Containers {
		if strings.Contains(c.Image, "device-plugin") || strings.Contains(c.Name, "device-plugin") {
			return true
		}
	}
	return false
}

// podTrouble says what keeps a pod from running, if anything does.
func podTrouble(pod *corev1.Pod) string {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range list {
			if w := c.State.Waiting; w != nil {
				return strings.TrimSpace(fmt.Sprintf("container %s is waiting: %s %s", c.Name, w.Reason, w.Message))
			}
			if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
				return strings.TrimSpace(fmt.Sprintf("container %s exited with %d: %s", c.Name, t.ExitCode, t.Message))
			}
		}
	}
	if pod.Status.Phase != corev1.PodRunning {
		return fmt.Sprintf("it is %s", pod.Status.Phase)
	}
	return ""
}
