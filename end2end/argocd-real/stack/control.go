package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// control is what tests ask stack for. Every answer is JSON; what was refused is 400 with {"error": TEXT}.
//
//	GET  /                                     the Facts
//	POST /apply?owner=NAME                     applies the objects of a YAML text; what the owner's earlier text had and this
//	                                           one leaves out is taken away
//	POST /status?owner=NAME                    the same for the status of objects that are there, as their controller would
//	POST /delete                               deletes the objects that a YAML text names
//	GET  /object?version=&kind=&namespace=&name=  one object; null where there is none
//	GET  /pods?namespace=                      name, phase, reason, images and owner of each pod
//	POST /rules                                a Rule: what becomes of pods
//	POST /forget?namespace=                    the rules of a namespace are taken back
//	POST /evict?namespace=&image=              evicts running pods whose image has this text in its name
//	POST /run?namespace=&cronjob=&name=        makes a Job of a CronJob, now
//	POST /parts/start?name=                    starts a part again, and waits until it is ready
//	POST /parts/stop?name=                     ends a part
//	POST /parts/kill?name=                     ends a part without a warning
//	GET  /parts                                whether each part runs
func control(facts Facts, c *cluster, k *kubelet, p *parts) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(writer http.ResponseWriter, request *http.Request) {
			answer, err := do(request)
			writer.Header().Set("Content-Type", "application/json")
			if err != nil {
				writer.WriteHeader(http.StatusBadRequest)
				answer = map[string]string{"error": err.Error()}
			}
			_ = json.NewEncoder(writer).Encode(answer)
		})
	}
	text := func(request *http.Request, do func(context.Context, []byte) error) (any, error) {
		body, err := io.ReadAll(io.LimitReader(request.Body, 4<<20))
		if err != nil {
			return nil, err
		}
		return nil, do(request.Context(), body)
	}
	asked := func(request *http.Request, name string) string { return request.URL.Query().Get(name) }

	handle("GET /{$}", func(*http.Request) (any, error) { return facts, nil })
	handle("POST /apply", func(request *http.Request) (any, error) {
		return text(request, func(ctx context.Context, body []byte) error {
			return c.apply(ctx, asked(request, "owner"), body)
		})
	})
	handle("POST /status", func(request *http.Request) (any, error) {
		return text(request, func(ctx context.Context, body []byte) error {
			return c.apply(ctx, asked(request, "owner"), body, "status")
		})
	})
	handle("POST /delete", func(request *http.Request) (any, error) { return text(request, c.delete) })
	handle("GET /object", func(request *http.Request) (any, error) {
		kind := schema.FromAPIVersionAndKind(asked(request, "version"), asked(request, "kind"))
		found, err := c.read(request.Context(), kind, asked(request, "namespace"), asked(request, "name"))
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return found, err
	})
	handle("GET /pods", func(request *http.Request) (any, error) {
		pods, err := c.client.CoreV1().Pods(asked(request, "namespace")).List(request.Context(), metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		found := make([]Pod, 0, len(pods.Items))
		for i := range pods.Items {
			found = append(found, describe(&pods.Items[i]))
		}
		return found, nil
	})
	handle("POST /rules", func(request *http.Request) (any, error) {
		var rule Rule
		if err := json.NewDecoder(request.Body).Decode(&rule); err != nil {
			return nil, err
		}
		return nil, k.rule(rule)
	})
	handle("POST /forget", func(request *http.Request) (any, error) {
		k.forget(asked(request, "namespace"))
		return nil, nil
	})
	handle("POST /evict", func(request *http.Request) (any, error) {
		return k.evict(request.Context(), asked(request, "namespace"), asked(request, "image"))
	})
	handle("POST /run", func(request *http.Request) (any, error) {
		return nil, runNow(request.Context(), c, asked(request, "namespace"), asked(request, "cronjob"), asked(request, "name"))
	})
	handle("GET /parts", func(*http.Request) (any, error) { return p.running(), nil })
	handle("POST /parts/{act}", func(request *http.Request) (any, error) {
		name := asked(request, "name")
		switch act := request.PathValue("act"); act {
		case "start":
			return nil, p.start(request.Context(), name)
		case "stop":
			return nil, p.stop(name, false)
		case "kill":
			return nil, p.stop(name, true)
		default:
			return nil, fmt.Errorf("a part can't %q", act)
		}
	})
	return mux
}

// Pod is what tests hold Waybill's word against.
type Pod struct {
	Name   string   `json:"name"`
	Phase  string   `json:"phase"`
	Reason string   `json:"reason,omitempty"`
	Ready  bool     `json:"ready"`
	Going  bool     `json:"going"`
	Images []string `json:"images"`
	// Owner is kind and name of what made it, as in ReplicaSet/web-5d4f.
	Owner string `json:"owner"`
}

func describe(pod *corev1.Pod) Pod {
	found := Pod{
		Name: pod.Name, Phase: string(pod.Status.Phase), Reason: pod.Status.Reason,
		Going: pod.DeletionTimestamp != nil, Images: []string{},
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			found.Ready = condition.Status == corev1.ConditionTrue
		}
	}
	for _, container := range pod.Spec.Containers {
		found.Images = append(found.Images, container.Image)
	}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		found.Owner = owner.Kind + "/" + owner.Name
	}
	return found
}

// runNow makes a Job of a CronJob as the schedule would: the CronJob owns it, and keeps count of it.
func runNow(ctx context.Context, c *cluster, namespace, cronjob, name string) error {
	found, err := c.client.BatchV1().CronJobs(namespace).Get(ctx, cronjob, metav1.GetOptions{})
	if err != nil {
		return err
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace,
			Labels: found.Spec.JobTemplate.Labels, Annotations: found.Spec.JobTemplate.Annotations,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(found, batchv1.SchemeGroupVersion.WithKind("CronJob")),
			},
		},
		Spec: found.Spec.JobTemplate.Spec,
	}
	_, err = c.client.BatchV1().Jobs(namespace).Create(ctx, job, metav1.CreateOptions{})
	return err
}
