package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// argocdNamespace is where Argo CD is, as its documents have it.
	argocdNamespace = "argocd"
	// account is what the applied FILEs call the account that tests use.
	account = "waybill"
	// argocdModule holds the definitions and settings that Argo CD's own installation applies.
	argocdModule = "github.com/argoproj/argo-cd/v3"
)

// settle applies what `kubectl apply -k manifests/…` would of Argo CD's own files: the kinds Application, AppProject and
// ApplicationSet, and its settings as they are shipped, from Argo CD's source in the folder module. Its pods are the parts here. Then
// come the files.
func settle(ctx context.Context, c *cluster, module string, files []string) error {
	definitions, err := filepath.Glob(filepath.Join(module, "manifests/crds/*-crd.yaml"))
	if err != nil {
		return err
	}
	for _, file := range definitions {
		if err := c.applyFile(ctx, file, ""); err != nil {
			return err
		}
	}
	if err := established(ctx, c); err != nil {
		return err
	}
	settings, err := filepath.Glob(filepath.Join(module, "manifests/base/config/argocd-*.yaml"))
	if err != nil {
		return err
	}
	if len(definitions) == 0 || len(settings) == 0 {
		return fmt.Errorf("%s has no manifests", module)
	}
	for _, file := range append(settings, files...) {
		if err := c.applyFile(ctx, file, argocdNamespace); err != nil {
			return err
		}
	}
	return nil
}

// moduleFolder is where Go keeps Argo CD's source.
func moduleFolder(ctx context.Context) (string, error) {
	if folder := os.Getenv("ARGOCD_SOURCE"); folder != "" {
		return folder, nil
	}
	found, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", argocdModule).Output()
	if err != nil {
		return "", fmt.Errorf("stack must run in its module's folder, or be told ARGOCD_SOURCE: %w", err)
	}
	return strings.TrimSpace(string(found)), nil
}

// applyFile applies a file; objects that name no namespace come into this one. Each file is an owner of its own, so that what one says
// isn't taken away by the next.
func (c *cluster) applyFile(ctx context.Context, file, namespace string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	objects, err := documents(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, object := range objects {
		if object.GetNamespace() == "" && namespace != "" {
			object.SetNamespace(namespace)
		}
		text, err := json.Marshal(object)
		if err != nil {
			return err
		}
		if err := c.apply(ctx, filepath.Base(filepath.Dir(file))+"-"+filepath.Base(file), text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// established waits until the API server serves Argo CD's kinds.
func established(ctx context.Context, c *cluster) error {
	kind := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	for _, name := range []string{"applications", "appprojects", "applicationsets"} {
		err := poll(ctx, "the definition of "+name, func() (bool, error) {
			found, err := c.read(ctx, kind, "", name+".argoproj.io")
			if err != nil {
				return false, err
			}
			// At first they are null.
			status, _ := found.Object["status"].(map[string]any)
			conditions, _ := status["conditions"].([]any)
			for _, each := range conditions {
				condition, _ := each.(map[string]any)
				if condition["type"] == "Established" && condition["status"] == "True" {
					return true, nil
				}
			}
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// introduce signs in as admin, as a person does after an installation, and makes the account's token.
func introduce(ctx context.Context, c *cluster, facts *Facts) error {
	err := poll(ctx, "the password of admin", func() (bool, error) {
		secret, err := c.client.CoreV1().Secrets(argocdNamespace).Get(ctx, "argocd-initial-admin-secret", metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		facts.Password = string(secret.Data["password"])
		return facts.Password != "", nil
	})
	if err != nil {
		return err
	}
	var session, token struct {
		Token string `json:"token"`
	}
	sign := map[string]string{"username": "admin", "password": facts.Password}
	if err := call(ctx, facts.ArgoCD+"/api/v1/session", "", sign, &session); err != nil {
		return err
	}
	if err := call(ctx, facts.ArgoCD+"/api/v1/account/"+account+"/token", session.Token, map[string]any{}, &token); err != nil {
		return err
	}
	facts.Token = token.Token
	var version struct{ Version string }
	if err := call(ctx, facts.ArgoCD+"/api/version", "", nil, &version); err != nil {
		return err
	}
	facts.Version = version.Version
	return nil
}

// call asks Argo CD's API: with GET where there is no body, else with POST.
func call(ctx context.Context, url, token string, body, answer any) error {
	method, content := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", url, got.StatusCode, text)
	}
	return json.Unmarshal(text, answer)
}

// poll looks until it is so; an error ends it.
func poll(ctx context.Context, what string, look func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		found, err := look()
		if found || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited in vain for %s", what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
