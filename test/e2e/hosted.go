package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/test/process"
)

const (
	// firstBackOff and lastBackOff bound how long a container that ends again and again is left alone, as kubelets do: the first time not
	// at all, then twice as long each time.
	firstBackOff = 10 * time.Second
	lastBackOff  = 5 * time.Minute
)

// hosted is a pod with one container, run as a process.
//
//	prepared ─► running ─► ended ─► back-off ─► running ...        asked to stop ─► SIGTERM ─► grace ─► SIGKILL ─► removed
type hosted struct {
	host      *host
	pod       *corev1.Pod
	container corev1.Container
	addresses map[int32]string  // by the port that the container listens at
	volumes   map[string]string // directories, by volume

	stopOnce sync.Once
	stopping chan struct{}
	grace    time.Duration

	mu       sync.Mutex
	process  *process.Process
	restarts int32
}

func newHosted(h *host, pod *corev1.Pod) *hosted {
	return &hosted{host: h, pod: pod, container: pod.Spec.Containers[0], addresses: map[int32]string{}, volumes: map[string]string{},
		stopping: make(chan struct{})}
}

func (p *hosted) askToStop(grace time.Duration) {
	p.stopOnce.Do(func() {
		p.grace = grace
		close(p.stopping)
	})
}

func (p *hosted) kill() error {
	p.mu.Lock()
	running := p.process
	p.mu.Unlock()
	if running == nil {
		return fmt.Errorf("no process of pod %s runs", p.pod.Name)
	}
	running.Kill()
	return nil
}

// log is the file that the container writes to, or wrote to last.
func (p *hosted) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return ""
	}
	return p.process.Log
}

// run is the pod's life.
func (p *hosted) run() {
	defer p.host.remove(p.pod)
	arguments, environment, err := p.prepare()
	if err != nil {
		p.host.say("pod %s: %v", p.pod.Name, err)
		p.post(p.waiting("CreateContainerConfigError", err.Error()))
		select {
		case <-p.stopping:
		case <-p.host.ctx.Done():
		}
		return
	}
	for backOff := time.Duration(0); ; {
		began := time.Now()
		if stopped := p.once(arguments, environment); stopped {
			return
		}
		if time.Since(began) > 2*lastBackOff {
			backOff = 0
		}
		p.restarts++
		if backOff > 0 {
			p.post(p.waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s", backOff, p.container.Name)))
		}
		select {
		case <-p.stopping:
			return
		case <-p.host.ctx.Done():
			return
		case <-time.After(backOff):
		}
		backOff = min(max(firstBackOff, 2*backOff), lastBackOff)
	}
}

// once runs the container until it ends by itself, or was asked to stop.
func (p *hosted) once(arguments, environment []string) (stopped bool) {
	running, err := process.Start(p.host.programs[p.image()], arguments, environment,
		filepath.Join(p.host.cluster.Logs, fmt.Sprintf("%s-%d.log", p.pod.Name, p.restarts)))
	if err != nil {
		p.host.say("pod %s: %v", p.pod.Name, err)
		return false
	}
	p.mu.Lock()
	p.process = running
	p.mu.Unlock()
	p.post(p.running(false))
	probing, enough := context.WithCancel(p.host.ctx)
	defer enough()
	var probes sync.WaitGroup
	probes.Go(func() {
		p.probe(probing, p.container.ReadinessProbe, func(ok bool) { p.post(p.running(ok)) }, func() {})
	})
	probes.Go(func() {
		p.probe(probing, p.container.LivenessProbe, func(bool) {}, func() {
			p.host.say("pod %s fails its liveness probe and is killed", p.pod.Name)
			running.Stop(10 * time.Second)
		})
	})
	defer probes.Wait()
	defer enough()
	select {
	case <-running.Ended:
		p.host.say("pod %s ended by itself; its log is %s:\n%s", p.pod.Name, running.Log, running.LastLines(3))
		return false
	case <-p.stopping:
		running.Stop(p.grace)
	case <-p.host.ctx.Done():
		running.Stop(5 * time.Second)
	}
	return true
}

// image is the last word of the image's repository.
func (p *hosted) image() string {
	name, _, _ := strings.Cut(path.Base(p.container.Image), ":")
	name, _, _ = strings.Cut(name, "@")
	return name
}

// prepare answers the arguments and the environment of the pod's process. Addresses without a host become free ones of the loopback
// interface, since pods share it here, and directories of volumes become directories of this machine.
func (p *hosted) prepare() (arguments, environment []string, err error) {
	if p.host.programs[p.image()] == "" || len(p.pod.Spec.Containers) != 1 || len(p.pod.Spec.InitContainers) > 0 {
		return nil, nil, fmt.Errorf("its %d containers and image %s are more than processes can stand for here", len(p.pod.Spec.Containers), p.container.Image)
	}
	for _, port := range p.container.Ports {
		if p.addresses[port.ContainerPort], err = process.FreeAddress(); err != nil {
			return nil, nil, err
		}
	}
	for _, v := range p.pod.Spec.Volumes {
		if v.EmptyDir != nil {
			p.volumes[v.Name] = filepath.Join(p.host.volumes(), p.pod.Name, v.Name)
			if err := os.MkdirAll(p.volumes[v.Name], 0o755); err != nil {
				return nil, nil, fmt.Errorf("making volume %s: %w", v.Name, err)
			}
		}
	}
	directory := filepath.Join(p.host.cluster.Dir, "pods", p.pod.Name)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, nil, fmt.Errorf("making the pod's directory: %w", err)
	}
	for _, argument := range p.container.Args {
		arguments = append(arguments, p.here(argument))
	}
	environment, err = p.environment(directory)
	return arguments, environment, err
}

// here puts what an argument names inside of the container in this machine's words.
func (p *hosted) here(argument string) string {
	flag, value, found := strings.Cut(argument, "=")
	if !found {
		return argument
	}
	for port, address := range p.addresses {
		if value == fmt.Sprintf(":%d", port) {
			return flag + "=" + address
		}
	}
	for _, mount := range p.container.VolumeMounts {
		if directory := p.volumes[mount.Name]; directory != "" && value == mount.MountPath {
			return flag + "=" + directory
		}
	}
	return argument
}

// environment is the container's own, and how to reach the API server as its ServiceAccount; nothing of this machine's.
func (p *hosted) environment(directory string) ([]string, error) {
	_, kubeconfig, err := p.host.cluster.KubeconfigForServiceAccount(p.host.ctx, p.pod.Namespace, p.pod.Spec.ServiceAccountName)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(directory, "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("writing the pod's kubeconfig: %w", err)
	}
	environment := []string{"KUBECONFIG=" + file, "HOSTNAME=" + p.pod.Name}
	for _, e := range p.container.Env {
		switch {
		case e.ValueFrom == nil:
			environment = append(environment, e.Name+"="+e.Value)
		case e.ValueFrom.ResourceFieldRef != nil && e.ValueFrom.ResourceFieldRef.Resource == "limits.memory":
			environment = append(environment, e.Name+"="+strconv.FormatInt(p.container.Resources.Limits.Memory().Value(), 10))
		default:
			return nil, fmt.Errorf("environment variable %s comes from %v, which is not played here", e.Name, e.ValueFrom)
		}
	}
	return environment, nil
}

// probe asks until ctx ends, and tells each change of answer, and as many failures in a row as the probe allows.
func (p *hosted) probe(ctx context.Context, probe *corev1.Probe, changed func(ok bool), failed func()) {
	if probe == nil || probe.HTTPGet == nil {
		return
	}
	url := "http://" + p.addresses[p.port(probe)] + probe.HTTPGet.Path
	was, failures := false, int32(0)
	for wait := time.Duration(max(1, probe.InitialDelaySeconds)) * time.Second; ; wait = time.Duration(max(1, probe.PeriodSeconds)) * time.Second {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		asking, enough := context.WithTimeout(ctx, time.Duration(max(1, probe.TimeoutSeconds))*time.Second)
		_, err := get(asking, url)
		enough()
		if failures++; err == nil {
			failures = 0
		}
		if ctx.Err() != nil {
			return
		}
		if ok := err == nil; ok != was && (ok || failures >= probe.FailureThreshold) {
			was = ok
			changed(ok)
		}
		if failures == probe.FailureThreshold {
			failed()
		}
	}
}

func (p *hosted) port(probe *corev1.Probe) int32 {
	for _, port := range p.container.Ports {
		if port.Name == probe.HTTPGet.Port.StrVal || port.ContainerPort == probe.HTTPGet.Port.IntVal {
			return port.ContainerPort
		}
	}
	return 0
}

// get answers a body; any status but 200 is an error.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, answer.Status, text)
	}
	return text, nil
}

func (p *hosted) running(ready bool) corev1.PodStatus {
	now := metav1.Now()
	return p.status(ready, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}})
}

func (p *hosted) waiting(reason, message string) corev1.PodStatus {
	return p.status(false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

func (p *hosted) status(ready bool, state corev1.ContainerState) corev1.PodStatus {
	now, yes, is := metav1.Now(), corev1.ConditionTrue, corev1.ConditionFalse
	if ready {
		is = yes
	}
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: now}
	}
	started := state.Running != nil
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "127.0.0.1", HostIP: "127.0.0.1",
		Conditions: []corev1.PodCondition{condition(corev1.PodInitialized, yes), condition(corev1.PodReady, is), condition(corev1.ContainersReady, is)},
		ContainerStatuses: []corev1.ContainerStatus{{Name: p.container.Name, Image: p.container.Image, Ready: ready, Started: &started,
			RestartCount: p.restarts, State: state}},
	}
}

// post writes the pod's status as a kubelet does.
func (p *hosted) post(status corev1.PodStatus) {
	text, err := json.Marshal(map[string]any{"status": status})
	if err == nil {
		_, err = p.host.client.CoreV1().Pods(p.pod.Namespace).Patch(p.host.ctx, p.pod.Name, types.StrategicMergePatchType, text, metav1.PatchOptions{}, "status")
	}
	if err != nil && !apierrors.IsNotFound(err) && p.host.ctx.Err() == nil {
		p.host.say("posting the status of pod %s: %v", p.pod.Name, err)
	}
}
