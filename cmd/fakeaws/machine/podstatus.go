package machine

import (
	"iter"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Annotations by which a pod says how it is to be played. Numbers are seconds, with decimals if need be.
const (
	// RunSecondsAnnotation is how long the pod's containers run before they end by themselves.
	RunSecondsAnnotation = "fakeaws.slipway.sh/run-seconds"
	// ExitCodeAnnotation is what they exit with; default 0. Containers that are to be restarted never end.
	ExitCodeAnnotation = "fakeaws.slipway.sh/exit-code"
	// StopSecondsAnnotation is how long they take to stop when they are told to, such as to write a checkpoint.
	StopSecondsAnnotation = "fakeaws.slipway.sh/stop-seconds"
)

// sleeping finds what a shell command sleeps.
var sleeping = regexp.MustCompile(`(?:^|[\s;&|/(])sleep\s+([0-9]+(?:\.[0-9]+)?)([smhd]?)\b`) // read only

func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return time.Duration(n * float64(time.Second)), true
}

// runDuration answers how long a pod runs by itself; false: for ever. Containers run side by side; the longest counts.
func runDuration(pod *corev1.Pod) (time.Duration, bool) {
	if text, said := pod.Annotations[RunSecondsAnnotation]; said {
		return seconds(text)
	}
	longest := time.Duration(0)
	for _, c := range pod.Spec.Containers {
		slept := sleeping.FindAllStringSubmatch(strings.Join(append(append([]string{}, c.Command...), c.Args...), " "), -1)
		if len(slept) == 0 {
			return 0, false
		}
		sum := time.Duration(0)
		for _, match := range slept {
			d, _ := seconds(match[1])
			sum += d * map[string]time.Duration{"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
		}
		longest = max(longest, sum)
	}
	return longest, true
}

func exitCode(pod *corev1.Pod) int32 {
	code, err := strconv.ParseInt(pod.Annotations[ExitCodeAnnotation], 10, 32)
	if err != nil {
		return 0
	}
	return int32(code)
}

func stopDuration(pod *corev1.Pod, usual time.Duration) time.Duration {
	if d, said := seconds(pod.Annotations[StopSecondsAnnotation]); said {
		return d
	}
	return usual
}

// ends says whether a running pod has ended by itself, for good.
func ends(pod *corev1.Pod, now time.Time) bool {
	restarts := pod.Spec.RestartPolicy == corev1.RestartPolicyAlways || pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && exitCode(pod) != 0
	lasts, finite := runDuration(pod)
	if restarts || !finite {
		return false
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			return !now.Before(c.State.Running.StartedAt.Add(lasts))
		}
	}
	return true
}

func setCondition(status *corev1.PodStatus, condition corev1.PodCondition) {
	for i, old := range status.Conditions {
		if old.Type == condition.Type {
			if old.Status == condition.Status {
				condition.LastTransitionTime = old.LastTransitionTime
			}
			status.Conditions[i] = condition
			return
		}
	}
	status.Conditions = append(status.Conditions, condition)
}

func setConditions(status *corev1.PodStatus, now time.Time, value corev1.ConditionStatus, reason string, kinds ...corev1.PodConditionType) {
	for _, kind := range kinds {
		setCondition(status, corev1.PodCondition{Type: kind, Status: value, Reason: reason, LastTransitionTime: metav1.NewTime(now)})
	}
}

func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// running answers the pod as its kubelet posts it once its containers run.
func (s *played) running(pod *corev1.Pod, now time.Time) *corev1.Pod {
	pod = pod.DeepCopy()
	at := metav1.NewTime(now)
	ip := s.player.nextPodIP()
	if pod.Spec.HostNetwork {
		ip = s.machine.PrivateIP
	}
	status := &pod.Status
	status.Phase, status.StartTime, status.HostIP, status.PodIP = corev1.PodRunning, &at, s.machine.PrivateIP, ip
	status.HostIPs, status.PodIPs = []corev1.HostIP{{IP: s.machine.PrivateIP}}, []corev1.PodIP{{IP: ip}}
	setConditions(status, now, corev1.ConditionTrue, "", corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady)
	status.InitContainerStatuses, status.ContainerStatuses = nil, nil
	for _, c := range pod.Spec.InitContainers {
		state := runningState(at)
		if !isSidecar(c) {
			state = terminatedState(at, at, 0)
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, containerStatus(pod, c, state))
	}
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(pod, c, runningState(at)))
	}
	return pod
}

func containerStatus(pod *corev1.Pod, c corev1.Container, state corev1.ContainerState) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: "containerd://" + string(pod.UID) + "-" + c.Name,
		State: state, Ready: true, Started: ptr.To(state.Running != nil),
	}
}

func runningState(at metav1.Time) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
}

func terminatedState(from, to metav1.Time, code int32) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: from, FinishedAt: to}}
}

// ended answers the pod after all its containers exited with a code.
func ended(pod *corev1.Pod, now time.Time, code int32) *corev1.Pod {
	pod = pod.DeepCopy()
	status := &pod.Status
	status.Phase = corev1.PodSucceeded
	if code != 0 {
		status.Phase = corev1.PodFailed
	}
	reason := "PodCompleted"
	if code != 0 {
		reason = "PodFailed"
	}
	setConditions(status, now, corev1.ConditionFalse, reason, corev1.PodReady, corev1.ContainersReady, corev1.PodReadyToStartContainers)
	for _, list := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses} {
		for i := range list {
			c := &list[i]
			if c.State.Running == nil {
				continue
			}
			c.State = terminatedState(c.State.Running.StartedAt, metav1.NewTime(now), code)
			c.State.Terminated.ContainerID = c.ContainerID
			c.Ready, c.Started = false, ptr.To(false)
		}
	}
	return pod
}

// failed answers the pod as failed before, or without, its containers.
func failed(pod *corev1.Pod, now time.Time, reason, message string) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, reason, message
	if pod.Status.StartTime == nil {
		at := metav1.NewTime(now)
		pod.Status.StartTime = &at
	}
	setConditions(&pod.Status, now, corev1.ConditionFalse, "PodFailed", corev1.PodReady, corev1.ContainersReady)
	return pod
}

func onePod() *resource.Quantity { return resource.NewQuantity(1, resource.DecimalSI) }

func keysOf(list corev1.ResourceList) iter.Seq[corev1.ResourceName] { return maps.Keys(list) }
