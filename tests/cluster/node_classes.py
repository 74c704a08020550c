"""The EC2NodeClass of a pool, in a network that no test looks at."""

from __future__ import annotations

from components.gpu.karpenter_objects import ec2_node_class
from components.gpu.node_pools import Pool
from rendering import Object


def node_class_of(pool: Pool) -> Object:
    """As a stack makes it, with identifiers of the form that the CRD asks for."""
    return ec2_node_class(
        pool,
        cluster_name="kubeflow",
        subnets=[{"id": "subnet-0123456789abcdef0"}],
        security_group="sg-0123456789abcdef0",
        instance_profile="profile",
        tags={"stack": "test"},
    )
