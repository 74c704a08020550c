// Saves, loads, lists and deletes artifacts and logs by Argo's own S3 driver, at the place that an
// artifact repository of the platform names.
//
//	argo-artifacts save FILE NAME     a file or a folder, as the artifact or log NAME of the step
//	argo-artifacts load FILE NAME     the same back into a file or a folder
//	argo-artifacts list NAME          prints what the driver finds below it, as JSON; "." is the step
//	argo-artifacts delete NAME
//
// Standard input is JSON: "repository" is the text of the repository as the ConfigMap has it,
// "variables" the workflow's, such as workflow.namespace. The key is printed to standard error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"

	wfv1 "github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/util/logging"
	"github.com/argoproj/argo-workflows/v4/util/template"
	"github.com/argoproj/argo-workflows/v4/workflow/artifacts/s3"
	"sigs.k8s.io/yaml"
)

func main() {
	// Argo 4 takes its logger from the context, and panics without one.
	ctx := logging.WithLogger(context.Background(), logging.NewSlogLoggerCustom(logging.Warn, logging.Text, os.Stderr))
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("name a command (save, load, list, delete) and an artifact")
	}
	var step struct {
		Repository string            `json:"repository"`
		Variables  map[string]string `json:"variables"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&step); err != nil {
		return err
	}
	artifact, err := located(ctx, step.Repository, step.Variables, arguments[len(arguments)-1])
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "key:", artifact.S3.Key)
	driver := driverOf(artifact.S3)
	switch command := arguments[0]; {
	case command == "save" && len(arguments) == 3:
		return driver.Save(ctx, arguments[1], artifact)
	case command == "load" && len(arguments) == 3:
		return driver.Load(ctx, artifact, arguments[1])
	case command == "list":
		names, err := driver.ListObjects(ctx, artifact)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(names)
	case command == "delete":
		return driver.Delete(ctx, artifact)
	default:
		return fmt.Errorf("%q with %d arguments is no command", command, len(arguments)-1)
	}
}

// What the controller makes of its repository (workflow/controller/workflowpod.go, addArchiveLocation)
// and the executor of one file of a step (workflow/executor/executor.go, saveArtifactFromFile).
func located(ctx context.Context, text string, variables map[string]string, name string) (*wfv1.Artifact, error) {
	var repository wfv1.ArtifactRepository
	if err := yaml.UnmarshalStrict([]byte(text), &repository); err != nil {
		return nil, err
	}
	location, err := json.Marshal(repository.ToArtifactLocation())
	if err != nil {
		return nil, err
	}
	resolved, err := template.Replace(ctx, string(location), variables, false)
	if err != nil {
		return nil, err
	}
	artifact := wfv1.Artifact{Name: name}
	if err := json.Unmarshal([]byte(resolved), &artifact.ArtifactLocation); err != nil {
		return nil, err
	}
	key, err := artifact.GetKey()
	if err != nil {
		return nil, err
	}
	return &artifact, artifact.SetKey(path.Join(key, name))
}

// As workflow/artifacts/artifacts.go, newDriver, without its Secrets; that package itself would
// compile the drivers of six other stores.
func driverOf(location *wfv1.S3Artifact) *s3.ArtifactDriver {
	return &s3.ArtifactDriver{
		Endpoint:    location.Endpoint,
		Region:      location.Region,
		Secure:      location.Insecure == nil || !*location.Insecure,
		RoleARN:     location.RoleARN,
		UseSDKCreds: location.UseSDKCreds,
	}
}
