package cluster

import (
	"context"
	"fmt"
	"os"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLife is how long a ServiceAccount's token is good for: longer than any test, since nobody renews it.
const tokenLife = 24 * time.Hour

// ConfigFor returns access as any user, who may do what RBAC lets the user and the groups do, and the same as the text
// of a kubeconfig file. The user need not exist: Kubernetes has no list of users.
func (c *Cluster) ConfigFor(user string, groups ...string) (config *rest.Config, kubeconfig []byte, err error) {
	certificate, key, err := c.ca.issueClient(user, groups)
	if err != nil {
		return nil, nil, fmt.Errorf("making access for %s: %w", user, err)
	}
	return c.access(user, &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key})
}

// KubeconfigForServiceAccount returns access as a ServiceAccount that exists, with a token good for a day: the way
// to run a controller with exactly the rights that its chart gives it.
func (c *Cluster) KubeconfigForServiceAccount(ctx context.Context, namespace, name string,
) (config *rest.Config, kubeconfig []byte, err error) {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("making access for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	seconds := int64(tokenLife.Seconds())
	request, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("making access for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return c.access(name, &clientcmdapi.AuthInfo{Token: request.Status.Token})
}

// access writes the proof of who somebody is into a kubeconfig and reads the client's configuration from that, so that
// the two cannot differ.
func (c *Cluster) access(user string, proof *clientcmdapi.AuthInfo) (*rest.Config, []byte, error) {
	const cluster = "slipway-test"
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			cluster: {Server: c.Endpoint(APIServer), CertificateAuthorityData: c.ca.pem},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: proof},
		Contexts:       map[string]*clientcmdapi.Context{cluster: {Cluster: cluster, AuthInfo: user}},
		CurrentContext: cluster,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("writing the kubeconfig of %s: %w", user, err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the kubeconfig of %s: %w", user, err)
	}
	config.QPS = -1 // no limit on the client's side
	return config, kubeconfig, nil
}

// writeAccess writes the kubeconfigs of the administrator, the scheduler and the controller manager: the latter two
// with the rights that Kubernetes gives them by name, and no more.
func (c *Cluster) writeAccess() (err error) {
	write := func(file, user string, groups ...string) (*rest.Config, error) {
		config, kubeconfig, err := c.ConfigFor(user, groups...)
		if err == nil {
			err = os.WriteFile(c.file(file), kubeconfig, 0o600)
		}
		return config, err
	}
	c.Kubeconfig = c.file("admin.kubeconfig")
	if c.Config, err = write("admin.kubeconfig", "admin", "system:masters"); err != nil {
		return err
	}
	if _, err = write(kubeconfigFile(Scheduler), "system:kube-scheduler"); err != nil {
		return err
	}
	_, err = write(kubeconfigFile(ControllerManager), "system:kube-controller-manager")
	return err
}

func kubeconfigFile(name Component) string { return string(name) + ".kubeconfig" }
