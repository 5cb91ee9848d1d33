package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// places says where everything lies and listens.
type places struct {
	bin, dir string
	ports    map[string]int
	token    string
}

// portNames are the ports that the parts need. They are found once: a part that is started again is where it was.
var portNames = []string{
	"etcd", "etcd-peer", "redis", "apiserver", "controllers", "repo-server", "repo-server-metrics",
	"controller-metrics", "server", "server-metrics",
}

// wrapper is a script of Argo CD's images that the repository server calls for every commit.
const wrapper = "git-verify-wrapper.sh"

func newPlaces(bin, dir, module string) (*places, error) {
	found := &places{bin: bin, dir: dir, ports: map[string]int{}}
	// All are held at once, so that none is found twice.
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			_ = listener.Close()
		}
	}()
	for _, name := range portNames {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, listener)
		found.ports[name] = listener.Addr().(*net.TCPAddr).Port
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	found.token = hex.EncodeToString(secret)
	if err := found.write(); err != nil {
		return nil, err
	}
	script, err := os.ReadFile(filepath.Join(module, "hack", wrapper))
	if err != nil {
		return nil, err
	}
	return found, os.WriteFile(filepath.Join(found.path("scripts"), wrapper), script, 0o755)
}

func (p *places) path(name string) string    { return filepath.Join(p.dir, name) }
func (p *places) address(name string) string { return fmt.Sprintf("127.0.0.1:%d", p.ports[name]) }
func (p *places) port(name string) string    { return fmt.Sprint(p.ports[name]) }
func (p *places) argocd() string             { return "http://" + p.address("server") }
func (p *places) kubernetes() string         { return "https://" + p.address("apiserver") }
func (p *places) socket() string {
	return fmt.Sprintf("%s/argocd-real-%d.sock", os.TempDir(), os.Getpid())
}
func (p *places) kubeconfig() string { return p.path("kubeconfig") }

// write makes the files that parts are told of: the key that service accounts' tokens are signed with, who may come in, and the way in.
func (p *places) write() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	kubeconfig := strings.NewReplacer("SERVER", p.kubernetes(), "TOKEN", p.token).Replace(`apiVersion: v1
kind: Config
current-context: stack
clusters:
- name: stack
  cluster: {server: SERVER, insecure-skip-tls-verify: true}
users:
- name: admin
  user: {token: TOKEN}
contexts:
- name: stack
  context: {cluster: stack, user: admin, namespace: argocd}
`)
	// Argo CD's programs expect these folders to be there.
	for _, folder := range []string{"tls", "ssh", "conf", "certificates/apiserver", "certificates/controllers", "scripts", "tmp"} {
		if err := os.MkdirAll(p.path(folder), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"service-accounts.key": string(private),
		"tokens.csv":           p.token + `,admin,admin,"system:masters"` + "\n",
		"kubeconfig":           kubeconfig,
	} {
		if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newParts says how each part is started and when it is ready.
func newParts(p *places) *parts {
	// Nothing of the machine's own settings reaches them but the way to its programs.
	plain := []string{
		"PATH=" + p.bin + ":" + p.path("scripts") + ":" + os.Getenv("PATH"),
		"HOME=" + p.dir,
		"TMPDIR=" + p.path("tmp"),
	}
	argocd := append([]string{
		"KUBECONFIG=" + p.kubeconfig(),
		// What Applications call https://kubernetes.default.svc is the cluster of KUBECONFIG.
		"ARGOCD_FAKE_IN_CLUSTER=true",
		"ARGOCD_GPG_ENABLED=false",
		"ARGOCD_TLS_DATA_PATH=" + p.path("tls"),
		"ARGOCD_SSH_DATA_PATH=" + p.path("ssh"),
		"ARGOCD_APP_CONF_PATH=" + p.path("conf"),
		// Otherwise two of them on one machine share it. Not in dir, as the paths of sockets have to be short.
		"ARGOCD_ASK_PASS_SOCK=" + p.socket(),
	}, plain...)
	named := func(name string) []string { return append([]string{"ARGOCD_BINARY_NAME=" + name}, argocd...) }
	// Applications of every namespace are seen, as in installations where teams have namespaces of their own.
	everywhere := "--application-namespaces=*"
	program := func(name string) string { return filepath.Join(p.bin, name) }
	listen := func(url string) string { return "http://" + url }

	all := []*part{
		{
			name: "etcd", program: "etcd", environment: plain,
			arguments: []string{
				"--name=stack", "--data-dir=" + p.path("etcd"),
				"--listen-client-urls=" + listen(p.address("etcd")),
				"--advertise-client-urls=" + listen(p.address("etcd")),
				"--listen-peer-urls=" + listen(p.address("etcd-peer")),
				"--initial-advertise-peer-urls=" + listen(p.address("etcd-peer")),
				"--initial-cluster=stack=" + listen(p.address("etcd-peer")),
			},
			ready: answers(listen(p.address("etcd")) + "/health"),
		},
		{
			name: "redis", program: "redis-server", environment: plain,
			arguments: []string{
				"--bind", "127.0.0.1", "--port", p.port("redis"), "--save", "", "--appendonly", "no", "--dir", p.dir,
			},
			ready: accepts(p.address("redis")),
		},
		{
			name: "apiserver", program: program("kube"), environment: plain,
			arguments: []string{
				"apiserver",
				"--etcd-servers=" + listen(p.address("etcd")),
				"--bind-address=127.0.0.1", "--secure-port=" + p.port("apiserver"),
				"--cert-dir=" + p.path("certificates/apiserver"),
				"--token-auth-file=" + p.path("tokens.csv"), "--authorization-mode=RBAC",
				"--service-cluster-ip-range=10.96.0.0/16",
				"--service-account-issuer=https://kubernetes.default.svc",
				"--service-account-key-file=" + p.path("service-accounts.key"),
				"--service-account-signing-key-file=" + p.path("service-accounts.key"),
				// No pod runs, so none needs a token; and nobody looks for the API server from within a pod.
				"--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none",
			},
			ready: answers(p.kubernetes() + "/readyz"),
		},
		{
			name: "controllers", program: program("kube"), environment: plain,
			arguments: []string{
				"controller-manager",
				"--kubeconfig=" + p.kubeconfig(), "--authentication-kubeconfig=" + p.kubeconfig(),
				"--authorization-kubeconfig=" + p.kubeconfig(), "--authentication-skip-lookup=true",
				"--bind-address=127.0.0.1", "--secure-port=" + p.port("controllers"),
				"--cert-dir=" + p.path("certificates/controllers"), "--leader-elect=false",
				"--service-account-private-key-file=" + p.path("service-accounts.key"),
				// The one node that there is sends no signs of life.
				"--controllers=*,-node-lifecycle-controller",
			},
			ready: answers("https://" + p.address("controllers") + "/healthz"),
		},
		{
			name: "repo-server", program: program("argocd"), environment: named("argocd-repo-server"),
			arguments: []string{
				"--address=127.0.0.1", "--port=" + p.port("repo-server"),
				// The second has a default that the first refuses.
				"--disable-tls", "--client-ca-path=",
				"--metrics-address=127.0.0.1", "--metrics-port=" + p.port("repo-server-metrics"),
				"--redis=" + p.address("redis"),
			},
			ready: answers(listen(p.address("repo-server-metrics")) + "/healthz"),
		},
		{
			name: "controller", program: program("argocd"), environment: named("argocd-application-controller"),
			arguments: []string{
				"--repo-server=" + p.address("repo-server"), "--repo-server-plaintext", "--redis=" + p.address("redis"),
				// The one port that Argo CD lets nobody bind to 127.0.0.1.
				"--metrics-port=" + p.port("controller-metrics"), everywhere,
			},
			ready: answers(listen(p.address("controller-metrics")) + "/healthz"),
		},
		{
			name: "server", program: program("argocd"), environment: named("argocd-server"),
			arguments: []string{
				"--insecure", "--address=127.0.0.1", "--port=" + p.port("server"),
				"--metrics-address=127.0.0.1", "--metrics-port=" + p.port("server-metrics"),
				"--repo-server=" + p.address("repo-server"), "--repo-server-plaintext", "--redis=" + p.address("redis"),
				"--staticassets=" + p.path("assets"), everywhere,
			},
			ready: answers(p.argocd() + "/healthz?full=true"),
		},
	}
	found := &parts{all: map[string]*part{}}
	for _, part := range all {
		part.log = p.path(part.name + ".log")
		found.all[part.name] = part
		found.order = append(found.order, part.name)
	}
	return found
}

// anyCertificate talks to whoever answers: certificates are made anew at each start, and everything is on this machine.
var anyCertificate = &http.Client{
	Timeout:   3 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
}

// answers: the address answers with 200.
func answers(url string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		answer, err := anyCertificate.Do(request)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
}

// accepts: something listens there.
func accepts(address string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		_ = connection.Close()
		return true
	}
}
