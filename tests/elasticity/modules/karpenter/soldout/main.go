// Karpenter on its kwok provider, in a region where some zones have sold out.
//
// The kwok provider never lacks a machine. Around it, launching answers as EC2 and the AWS provider
// do: a fleet takes any zone that the NodeClaim allows and that has capacity; where none has, the
// launch fails for want of it, and what was asked for counts as unavailable from then on.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/log"

	kwok "sigs.k8s.io/karpenter/kwok/cloudprovider"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/cloudprovider/overlay"
	"sigs.k8s.io/karpenter/pkg/controllers"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/operator"
	"sigs.k8s.io/karpenter/pkg/scheduling"
)

type region struct {
	*kwok.CloudProvider
	types   []*cloudprovider.InstanceType
	soldOut sets.Set[string]

	lock    sync.RWMutex
	refused sets.Set[offer]
}

type offer struct{ instanceType, zone string }

func (r *region) Create(ctx context.Context, claim *v1.NodeClaim) (*v1.NodeClaim, error) {
	asked := scheduling.NewNodeSelectorRequirementsWithMinValues(claim.Spec.Requirements...)
	types := asked.Get(corev1.LabelInstanceTypeStable).Values()
	allowed := r.allowed(asked.Get(corev1.LabelTopologyZone), types)
	if allowed.Difference(r.soldOut).Len() == 0 {
		r.refuse(types, allowed)
		return nil, cloudprovider.NewInsufficientCapacityError(
			fmt.Errorf("no machine left in %s", strings.Join(sets.List(allowed), ", ")))
	}
	elsewhere := claim.DeepCopy()
	elsewhere.Spec.Requirements = append(elsewhere.Spec.Requirements, v1.NodeSelectorRequirementWithMinValues{
		Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpNotIn, Values: sets.List(r.soldOut),
	})
	return r.CloudProvider.Create(ctx, elsewhere)
}

func (r *region) GetInstanceTypes(context.Context, *v1.NodePool) ([]*cloudprovider.InstanceType, error) {
	r.lock.RLock()
	defer r.lock.RUnlock()
	var offered []*cloudprovider.InstanceType
	for _, found := range r.types {
		shown := &cloudprovider.InstanceType{
			Name: found.Name, Requirements: found.Requirements, Capacity: found.Capacity, Overhead: found.Overhead,
		}
		for _, offering := range found.Offerings {
			same := *offering
			same.Available = !r.refused.Has(offer{found.Name, zone(offering)})
			shown.Offerings = append(shown.Offerings, &same)
		}
		offered = append(offered, shown)
	}
	return offered, nil
}

func (r *region) allowed(zones *scheduling.Requirement, types []string) sets.Set[string] {
	wanted, found := sets.New(types...), sets.New[string]()
	for _, each := range r.types {
		for _, offering := range each.Offerings {
			if wanted.Has(each.Name) && zones.Has(zone(offering)) {
				found.Insert(zone(offering))
			}
		}
	}
	return found
}

func (r *region) refuse(types []string, zones sets.Set[string]) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, name := range types {
		for at := range zones {
			r.refused.Insert(offer{name, at})
		}
	}
}

func zone(offering *cloudprovider.Offering) string {
	return offering.Requirements.Get(corev1.LabelTopologyZone).Any()
}

func main() {
	ctx, op := operator.NewOperator()
	types, err := kwok.ConstructInstanceTypes(ctx)
	if err != nil {
		log.FromContext(ctx).Error(err, "failed constructing instance types")
		os.Exit(1)
	}
	here := &region{
		CloudProvider: kwok.NewCloudProvider(ctx, op.GetClient(), types),
		types:         types,
		soldOut:       sets.New(strings.Split(os.Getenv("SOLD_OUT_ZONES"), ",")...),
		refused:       sets.New[offer](),
	}
	cloud := overlay.Decorate(here, op.GetClient(), op.InstanceTypeStore)
	cluster := state.NewCluster(op.Clock, op.GetClient(), cloud)
	op.WithControllers(ctx, controllers.NewControllers(
		ctx, op.Manager, op.Clock, op.GetClient(), op.EventRecorder, cloud, here, cluster, op.InstanceTypeStore,
	)...).Start(ctx)
}
