// Answers what KServe and Knative make of a ConfigMap of the platform, by their own code.
//
//	serving-settings environment          the variables KServe gives its storage initializer,
//	                                      where the pod's service account carries a role
//	serving-settings skipped IMAGE ...    for each image, whether Knative leaves its tag to the
//	                                      kubelet and asks no registry for the digest
//	serving-settings domain               the domain of Knative's services without a label
//	serving-settings login HOST           the user that the ECR part of go-containerregistry's k8schain,
//	                                      by which Argo and Katib log in, gets for a registry
//
// The ConfigMap is read as JSON from standard input; the answer is JSON on standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	ecr "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/kserve/kserve/pkg/credentials/s3"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/deployment"
	"knative.dev/serving/pkg/reconciler/route/config"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("name a question: environment, skipped, domain or login")
	}
	var configMap corev1.ConfigMap
	if err := json.NewDecoder(os.Stdin).Decode(&configMap); err != nil {
		return err
	}
	var answer any
	var err error
	switch arguments[0] {
	case "environment":
		answer, err = environment(&configMap)
	case "skipped":
		answer, err = skipped(&configMap, arguments[1:])
	case "domain":
		answer, err = domain(&configMap)
	case "login":
		answer, _, err = ecr.NewECRHelper().Get(arguments[1])
	default:
		err = fmt.Errorf("there is no question %q: use environment, skipped, domain or login", arguments[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// What pkg/credentials.CredentialBuilder does for a service account with the annotation
// eks.amazonaws.com/role-arn; that package itself would bring 300 more to compile.
func environment(configMap *corev1.ConfigMap) (map[string]string, error) {
	var credentials struct {
		S3 s3.S3Config `json:"s3"`
	}
	if err := json.Unmarshal([]byte(configMap.Data["credentials"]), &credentials); err != nil {
		return nil, err
	}
	variables := map[string]string{}
	for _, each := range s3.BuildServiceAccountEnvs(&corev1.ServiceAccount{}, &credentials.S3) {
		variables[each.Name] = each.Value
	}
	return variables, nil
}

// What digestResolver.Resolve decides before it asks a registry
// (pkg/reconciler/revision/resolve.go of knative/serving).
func skipped(configMap *corev1.ConfigMap, images []string) ([]bool, error) {
	config, err := deployment.NewConfigFromConfigMap(configMap)
	if err != nil {
		return nil, err
	}
	answers := []bool{}
	for _, image := range images {
		tag, err := name.NewTag(image, name.WeakValidation)
		if err != nil {
			return nil, err
		}
		answers = append(answers, config.RegistriesSkippingTagResolving.Has(tag.Registry.RegistryStr()))
	}
	return answers, nil
}

func domain(configMap *corev1.ConfigMap) (string, error) {
	domains, err := config.NewDomainFromConfigMap(configMap)
	if err != nil {
		return "", err
	}
	return domains.LookupDomainForLabels(map[string]string{}), nil
}
