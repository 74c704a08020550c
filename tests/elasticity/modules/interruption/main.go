// The AWS provider's own interruption controller, by itself: it reads the queue and deletes the
// NodeClaims of instances that are about to end. Where Karpenter runs on its kwok provider, nobody
// else does. The last part of a kwok node's provider ID stands for the instance ID.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	sqsapi "github.com/aws/aws-sdk-go-v2/service/sqs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	controllerruntime "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	karpv1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/events"

	"github.com/aws/karpenter-provider-aws/pkg/cache"
	"github.com/aws/karpenter-provider-aws/pkg/controllers/interruption"
	"github.com/aws/karpenter-provider-aws/pkg/providers/sqs"
)

func main() {
	controllerruntime.SetLogger(zap.New())
	if err := run(controllerruntime.SetupSignalHandler(), os.Getenv("QUEUE_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, queue string) error {
	manager, err := controllerruntime.NewManager(controllerruntime.GetConfigOrDie(), controllerruntime.Options{
		Scheme:  scheme.Scheme,
		Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	// The names of both indexes are those that the controller asks for.
	indexer := manager.GetFieldIndexer()
	if err := indexer.IndexField(ctx, &karpv1.NodeClaim{}, "status.instanceID", func(found client.Object) []string {
		return instance(found.(*karpv1.NodeClaim).Status.ProviderID)
	}); err != nil {
		return err
	}
	if err := indexer.IndexField(ctx, &corev1.Node{}, "spec.instanceID", func(found client.Object) []string {
		return instance(found.(*corev1.Node).Spec.ProviderID)
	}); err != nil {
		return err
	}
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	api := sqsapi.NewFromConfig(aws)
	messages, err := sqs.NewDefaultProvider(api, queue)
	if err != nil {
		return err
	}
	recorder := events.NewRecorder(manager.GetEventRecorderFor("karpenter"))
	controller := interruption.NewController(
		manager.GetClient(), clock.RealClock{}, nil, recorder, messages, api, cache.NewUnavailableOfferings(), nil)
	if err := controller.Register(ctx, manager); err != nil {
		return err
	}
	return manager.Start(ctx)
}

func instance(provider string) []string {
	if provider == "" {
		return nil
	}
	return []string{provider[strings.LastIndex(provider, "/")+1:]}
}
