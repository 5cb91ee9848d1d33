package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// node is the one node that there is.
const node = "node-1"

const (
	// tick is how often the pods are looked at.
	tick = 100 * time.Millisecond
	// starting is how long a pod is Pending before anything comes of it.
	starting = 300 * time.Millisecond
	// ending is how long a pod that is to go is still there.
	ending = 500 * time.Millisecond
)

// Outcome is what becomes of a pod.
type Outcome string

const (
	// Ready: it runs, and answers its probes.
	Ready Outcome = "ready"
	// Unready: it runs, and doesn't answer its probe.
	Unready Outcome = "unready"
	// Crashing: its containers end with an error each time that they are started.
	Crashing Outcome = "crashing"
	// Unpullable: its image can't be pulled.
	Unpullable Outcome = "unpullable"
	// Complete: its containers do their work and end.
	Complete Outcome = "complete"
	// Failed: its containers end with an error and are not started again.
	Failed Outcome = "failed"
	// Held: nothing comes of it yet.
	Held Outcome = "held"
)

// Rule says what becomes of some pods: those of a namespace with an image in whose name a text stands.
type Rule struct {
	Namespace string  `json:"namespace"`
	Image     string  `json:"image"`
	Outcome   Outcome `json:"outcome"`
}

// kubelet is what stands in for scheduler and kubelet: it gives pods to the node, says what became of them, and lets go of those that
// are to be deleted. No rule: pods of a Job complete, all others become ready.
type kubelet struct {
	client kubernetes.Interface

	lock  sync.Mutex
	rules []Rule
	told  map[string]Outcome
}

func newKubelet(client kubernetes.Interface) *kubelet {
	return &kubelet{client: client, told: map[string]Outcome{}}
}

// rule makes a rule; the newest that fits a pod holds. Pods that are there already follow it, unless they have ended.
func (k *kubelet) rule(rule Rule) error {
	switch rule.Outcome {
	case Ready, Unready, Crashing, Unpullable, Complete, Failed, Held:
	default:
		return fmt.Errorf("there is no outcome %q", rule.Outcome)
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	k.rules = append(k.rules, rule)
	return nil
}

// forget takes back the rules of a namespace.
func (k *kubelet) forget(namespace string) {
	k.lock.Lock()
	defer k.lock.Unlock()
	kept := k.rules[:0]
	for _, rule := range k.rules {
		if rule.Namespace != namespace {
			kept = append(kept, rule)
		}
	}
	k.rules = kept
}

func (k *kubelet) outcome(pod *corev1.Pod) Outcome {
	k.lock.Lock()
	defer k.lock.Unlock()
	for i := len(k.rules) - 1; i >= 0; i-- {
		rule := k.rules[i]
		if rule.Namespace != pod.Namespace {
			continue
		}
		for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			if strings.Contains(container.Image, rule.Image) {
				return rule.Outcome
			}
		}
	}
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "Job" {
		return Complete
	}
	return Ready
}

// run goes on until the end. What fails is tried again with the next look.
func (k *kubelet) run(ctx context.Context) {
	look := time.NewTicker(tick)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if err := k.node(ctx); err != nil {
			if !passing(err) {
				log.Println("node:", err)
			}
			continue
		}
		pods, err := k.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Println("pods:", err)
			continue
		}
		for i := range pods.Items {
			if err := k.attend(ctx, &pods.Items[i]); err != nil && !passing(err) {
				log.Println(pods.Items[i].Namespace, pods.Items[i].Name, err)
			}
		}
	}
}

// passing: somebody else was faster.
func passing(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

func (k *kubelet) attend(ctx context.Context, pod *corev1.Pod) error {
	pods := k.client.CoreV1().Pods(pod.Namespace)
	if pod.DeletionTimestamp != nil {
		grace := time.Duration(0)
		if pod.DeletionGracePeriodSeconds != nil {
			grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
		}
		if time.Since(pod.DeletionTimestamp.Add(-grace)) < ending {
			return nil
		}
		now := int64(0)
		return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	}
	if pod.Spec.NodeName == "" {
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node},
		}
		return pods.Bind(ctx, binding, metav1.CreateOptions{})
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	if time.Since(pod.CreationTimestamp.Time) < starting {
		return nil
	}
	outcome := k.outcome(pod)
	key := string(pod.UID)
	if outcome == Held || k.told[key] == outcome {
		return nil
	}
	become(pod, outcome, metav1.Now())
	if _, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return err
	}
	k.told[key] = outcome
	return k.tell(ctx, pod, outcome)
}

// tell leaves the event that a kubelet would, so that Argo CD has something to say of a pod that is ill.
func (k *kubelet) tell(ctx context.Context, pod *corev1.Pod, outcome Outcome) error {
	image := pod.Spec.Containers[0].Image
	var reason, message string
	switch outcome {
	case Unready:
		reason, message = "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"
	case Crashing:
		reason, message = "BackOff", "Back-off restarting failed container "+pod.Spec.Containers[0].Name
	case Unpullable:
		reason, message = "Failed", fmt.Sprintf("Failed to pull image %q: not found", image)
	default:
		return nil
	}
	now := metav1.Now()
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: pod.Name + ".", Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		},
		Type: corev1.EventTypeWarning, Reason: reason, Message: message, Count: 1,
		FirstTimestamp: now, LastTimestamp: now, Source: corev1.EventSource{Component: "kubelet", Host: node},
	}
	_, err := k.client.CoreV1().Events(pod.Namespace).Create(ctx, event, metav1.CreateOptions{})
	return err
}

// become writes what a kubelet would say of the pod.
func become(pod *corev1.Pod, outcome Outcome, now metav1.Time) {
	status := &pod.Status
	status.StartTime = &now
	status.HostIP = "127.0.0.1"
	status.Phase, status.Reason, status.Message = corev1.PodRunning, "", ""
	ready, reason := outcome == Ready, ""
	var state corev1.ContainerState
	restarts := int32(0)
	switch outcome {
	case Ready, Unready:
		state.Running = &corev1.ContainerStateRunning{StartedAt: now}
		if !ready {
			reason = "ContainersNotReady"
		}
	case Crashing:
		state.Waiting = &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container",
		}
		restarts, reason = 3, "ContainersNotReady"
	case Unpullable:
		status.Phase = corev1.PodPending
		state.Waiting = &corev1.ContainerStateWaiting{
			Reason: "ImagePullBackOff", Message: "Back-off pulling image",
		}
		reason = "ContainersNotReady"
	case Complete:
		status.Phase = corev1.PodSucceeded
		state.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}
		reason = "PodCompleted"
	case Failed:
		status.Phase = corev1.PodFailed
		state.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: now, FinishedAt: now,
		}
		reason = "PodFailed"
	}
	started := state.Running != nil
	status.InitContainerStatuses = nil
	for _, container := range pod.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: imageID(container.Image), Ready: true,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: now, FinishedAt: now,
			}},
		})
	}
	status.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		each := corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: ready, Started: &started,
			State: state, RestartCount: restarts,
		}
		if outcome != Unpullable {
			each.ImageID = imageID(container.Image)
		}
		if outcome == Crashing {
			each.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
				ExitCode: 1, Reason: "Error", StartedAt: now, FinishedAt: now,
			}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, each)
	}
	conditions(pod, ready, reason, now)
}

// imageID is what a container runtime calls an image: by its digest, where it knows one.
func imageID(image string) string {
	if strings.Contains(image, "@sha256:") {
		return image
	}
	return ""
}

func conditions(pod *corev1.Pod, ready bool, reason string, now metav1.Time) {
	truth := func(is bool) corev1.ConditionStatus {
		if is {
			return corev1.ConditionTrue
		}
		return corev1.ConditionFalse
	}
	before := map[corev1.PodConditionType]corev1.PodCondition{}
	for _, condition := range pod.Status.Conditions {
		before[condition.Type] = condition
	}
	pod.Status.Conditions = nil
	add := func(kind corev1.PodConditionType, is bool, reason string) {
		condition := corev1.PodCondition{Type: kind, Status: truth(is), Reason: reason, LastTransitionTime: now}
		if old, known := before[kind]; known && old.Status == condition.Status {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		pod.Status.Conditions = append(pod.Status.Conditions, condition)
	}
	add(corev1.PodScheduled, true, "")
	add(corev1.PodInitialized, true, "")
	add(corev1.ContainersReady, ready, reason)
	add(corev1.PodReady, ready, reason)
}

// evict ends pods as a node does that has run out of memory: they stay, with phase Failed, and their owners make others. It returns
// the names of those that it ended.
func (k *kubelet) evict(ctx context.Context, namespace, image string) ([]string, error) {
	pods, err := k.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var evicted []string
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || !hasImage(pod, image) {
			continue
		}
		now := metav1.Now()
		become(pod, Failed, now)
		pod.Status.Reason = "Evicted"
		pod.Status.Message = "The node was low on resource: memory. "
		pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses = nil, nil
		if _, err := k.client.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
			return evicted, err
		}
		evicted = append(evicted, pod.Name)
	}
	return evicted, nil
}

func hasImage(pod *corev1.Pod, image string) bool {
	for _, container := range pod.Spec.Containers {
		if strings.Contains(container.Image, image) {
			return true
		}
	}
	return false
}

// node makes the node where it isn't there yet.
func (k *kubelet) node(ctx context.Context) error {
	nodes := k.client.CoreV1().Nodes()
	found, err := nodes.Get(ctx, node, metav1.GetOptions{ResourceVersion: "0"})
	if err == nil && len(found.Status.Conditions) > 0 && len(found.Spec.Taints) == 0 {
		return nil
	}
	if apierrors.IsNotFound(err) {
		made := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: node, Labels: map[string]string{"kubernetes.io/os": "linux", "kubernetes.io/hostname": node},
		}}
		found, err = nodes.Create(ctx, made, metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	// Nodes begin with the taint that they are not ready, and nobody else here takes it away.
	if len(found.Spec.Taints) > 0 {
		found.Spec.Taints = nil
		if found, err = nodes.Update(ctx, found, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	now := metav1.Now()
	found.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
		LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	_, err = nodes.UpdateStatus(ctx, found, metav1.UpdateOptions{})
	return err
}
