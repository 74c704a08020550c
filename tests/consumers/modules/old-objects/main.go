// What programs of a release find in objects that were written for the release before it, by their
// own Go types: the API server keeps fields of open types, such as Argo's, that a program drops.
//
//	old-objects lost       prints, as JSON, the fields of each of Argo's kinds that 3.7 has and 4.0 has not
//	old-objects read       reads objects from standard input, one JSON per line, as Argo 4.0 and Trainer
//	                       2.2 read them; prints an array per line, of what is unknown to them or wrong
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"

	argo3 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	argo4 "github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	trainer "github.com/kubeflow/trainer/v2/pkg/apis/trainer/v1alpha1"
	kjson "sigs.k8s.io/json"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string, input io.Reader) error {
	switch strings.Join(arguments, " ") {
	case "lost":
		return json.NewEncoder(os.Stdout).Encode(map[string][]string{
			"Workflow":                lost(argo3.Workflow{}, argo4.Workflow{}),
			"CronWorkflow":            lost(argo3.CronWorkflow{}, argo4.CronWorkflow{}),
			"WorkflowTemplate":        lost(argo3.WorkflowTemplate{}, argo4.WorkflowTemplate{}),
			"ClusterWorkflowTemplate": lost(argo3.ClusterWorkflowTemplate{}, argo4.ClusterWorkflowTemplate{}),
		})
	case "read":
		return readAll(input)
	}
	return fmt.Errorf("name a question: lost or read")
}

func readAll(input io.Reader) error {
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var meta struct{ Kind string }
		if err := json.Unmarshal(lines.Bytes(), &meta); err != nil {
			return err
		}
		object, err := empty(meta.Kind)
		if err != nil {
			return err
		}
		// As an informer's decoder reads, but for case, and with the unknown fields told.
		unknown, err := kjson.UnmarshalStrict(lines.Bytes(), object)
		told := []string{}
		for _, each := range append(unknown, err) {
			if each != nil {
				told = append(told, each.Error())
			}
		}
		if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
			return err
		}
	}
	return lines.Err()
}

func empty(kind string) (any, error) {
	switch kind {
	case "Workflow":
		return &argo4.Workflow{}, nil
	case "CronWorkflow":
		return &argo4.CronWorkflow{}, nil
	case "WorkflowTemplate":
		return &argo4.WorkflowTemplate{}, nil
	case "ClusterWorkflowTemplate":
		return &argo4.ClusterWorkflowTemplate{}, nil
	case "TrainJob":
		return &trainer.TrainJob{}, nil
	case "TrainingRuntime":
		return &trainer.TrainingRuntime{}, nil
	case "ClusterTrainingRuntime":
		return &trainer.ClusterTrainingRuntime{}, nil
	}
	return nil, fmt.Errorf("%s is no kind of Argo or Trainer", kind)
}

// The paths of fields below spec that the new type lacks or has with another kind of value.
func lost(old, new any) []string {
	found := map[string]bool{}
	before, _ := field(reflect.TypeOf(old), "spec")
	after, _ := field(reflect.TypeOf(new), "spec")
	compare(before, after, "spec", map[reflect.Type]int{}, found)
	paths := []string{}
	for path := range found {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

func compare(old, new reflect.Type, at string, above map[reflect.Type]int, found map[string]bool) {
	old, new = element(old), element(new)
	if old == new || above[old] > 1 { // a template inside a template, and no deeper
		return
	}
	if old.Kind() != new.Kind() {
		found[at] = true
		return
	}
	if old.Kind() != reflect.Struct {
		return
	}
	above[old]++
	defer func() { above[old]-- }()
	for name, before := range fields(old) {
		after, has := field(new, name)
		if !has {
			found[at+"."+name] = true
			continue
		}
		compare(before, after, at+"."+name, above, found)
	}
}

// A list or pointer stands for its items, and so does a group of steps, which is a list in JSON.
func element(each reflect.Type) reflect.Type {
	for {
		switch {
		case each.Kind() == reflect.Pointer || each.Kind() == reflect.Slice:
			each = each.Elem()
		case each.Name() == "ParallelSteps":
			each = each.Field(0).Type
		default:
			return each
		}
	}
}

func field(of reflect.Type, name string) (reflect.Type, bool) {
	found, has := fields(of)[name]
	return found, has
}

// JSON name -> type, those of embedded structs too.
func fields(of reflect.Type) map[string]reflect.Type {
	found := map[string]reflect.Type{}
	for number := range of.NumField() {
		each := of.Field(number)
		name, _, _ := strings.Cut(each.Tag.Get("json"), ",")
		switch {
		case name != "" && name != "-":
			found[name] = each.Type
		case name == "" && each.Anonymous:
			for inner, its := range fields(element(each.Type)) {
				found[inner] = its
			}
		}
	}
	return found
}
