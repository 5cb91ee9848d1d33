// Kube is what Argo CD needs of Kubernetes, in one program: the API server and the controllers. There is no scheduler
// and no kubelet; ../kubelet plays them.
//
//	kube apiserver FLAG…
//	kube controller-manager FLAG…
package main

import (
	"fmt"
	"os"
	// Schedules of CronJobs may name time zones that the machine does not know.
	_ "time/tzdata"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	programs := map[string]func() *cobra.Command{
		"apiserver":          apiserver.NewAPIServerCommand,
		"controller-manager": controllers.NewControllerManagerCommand,
	}
	if len(os.Args) > 1 {
		if program, known := programs[os.Args[1]]; known {
			os.Args = append(os.Args[:1:1], os.Args[2:]...)
			os.Exit(cli.Run(program()))
		}
	}
	fmt.Fprintln(os.Stderr, "usage: kube apiserver|controller-manager FLAG…")
	os.Exit(2)
}
