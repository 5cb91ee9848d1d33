// Stack runs a real Argo CD and what it stands on, all on 127.0.0.1 and on free ports: etcd, the Kubernetes API server and its
// controllers, Redis, and Argo CD's repository server, controller and API server. There is no kubelet: stack plays it, so that pods
// become ready, fail or are evicted as a test wants it, and no container ever runs.
//
//	stack -bin DIR -dir DIR [FILE…]
//
// -bin holds the programs that scripts/argocd-real builds; -dir is emptied and then holds what the parts keep, and their logs. The
// FILEs are applied once Argo CD's own settings are there. When everything answers, stack writes DIR/stack.json (see Facts) and goes on
// until it is told to end; the parts end with it.
//
// Tests talk to it at the address `control` of that file: see control.go.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Facts is what stack.json holds, for tests and for people with a browser.
type Facts struct {
	// Control is the address of stack's own interface.
	Control string `json:"control"`
	// ArgoCD is the address of Argo CD's API and pages.
	ArgoCD string `json:"argocd"`
	// Password is that of the user admin, who may do everything.
	Password string `json:"password"`
	// Token is of the account that the FILEs gave to Waybill.
	Token string `json:"token"`
	// Kubeconfig is the path of a file for kubectl.
	Kubeconfig string `json:"kubeconfig"`
	// Version is what Argo CD says of itself.
	Version string `json:"version"`
}

func main() {
	bin := flag.String("bin", "", "the folder with the programs")
	dir := flag.String("dir", "", "the folder for what the parts keep; it is emptied first")
	flag.Parse()
	if *bin == "" || *dir == "" {
		fmt.Fprintln(os.Stderr, "usage: stack -bin DIR -dir DIR [FILE…]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *dir, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, dir string, files []string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return err
	}
	module, err := moduleFolder(ctx)
	if err != nil {
		return err
	}
	places, err := newPlaces(bin, dir, module)
	if err != nil {
		return err
	}
	parts := newParts(places)
	// A part that was killed leaves it behind.
	defer os.Remove(places.socket())
	defer parts.stopAll()
	// What asks the parts ends before they do.
	ctx, end := context.WithCancel(ctx)
	defer end()

	began := time.Now()
	say := func(what string) { fmt.Printf("%5.1f s  %s\n", time.Since(began).Seconds(), what) }
	if err := parts.start(ctx, "etcd", "redis", "apiserver"); err != nil {
		return err
	}
	say("Kubernetes answers")
	cluster, err := connect(places)
	if err != nil {
		return err
	}
	if err := parts.start(ctx, "controllers"); err != nil {
		return err
	}
	kubelet := newKubelet(cluster.client)
	go kubelet.run(ctx)
	if err := settle(ctx, cluster, module, files); err != nil {
		return err
	}
	say("Argo CD's settings are there")
	if err := parts.start(ctx, "repo-server", "controller", "server"); err != nil {
		return err
	}
	facts := Facts{ArgoCD: places.argocd(), Kubeconfig: places.kubeconfig()}
	if err := introduce(ctx, cluster, &facts); err != nil {
		return err
	}
	say("Argo CD " + facts.Version + " answers at " + facts.ArgoCD)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	facts.Control = "http://" + listener.Addr().String()
	server := &http.Server{Handler: control(facts, cluster, kubelet, parts), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := writeFacts(filepath.Join(dir, "stack.json"), facts); err != nil {
		return err
	}
	say("Tests may begin: " + facts.Control)
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// writeFacts leaves either the whole file or none.
func writeFacts(path string, facts Facts) error {
	text, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
