"""One region name in, one machine-learning platform out.

Read downwards: network and cluster, what replaces MySQL and MinIO, the image mirror, GPU nodes from
zero, Kubeflow on top. The stack file decides everything else (Pulumi.cn-north-1.yaml explains it).
"""

import pulumi

from components.backend import KubeflowRdsS3Backend, KubeflowRdsS3BackendArgs
from components.cluster import EksCluster, EksClusterArgs
from components.gpu import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.gpu.node_pools import pools_of
from components.kubeflow import KubeflowManifests, KubeflowManifestsArgs
from components.mirror import ImageMirrorWebhook, ImageMirrorWebhookArgs
from program import (
    build_side,
    export_hints,
    late_values,
    render_stack,
    stack_context,
    stack_settings,
)

settings = stack_settings()
context, aws = stack_context(settings)
renders = render_stack(settings, context.region)

cluster = EksCluster(
    "cluster",
    EksClusterArgs(
        context=context,
        cluster=settings.cluster,
        network=settings.network,
        node_group=settings.node_group,
    ),
    pulumi.ResourceOptions(providers=[aws]),
)
ready = [*cluster.ready]
everywhere = pulumi.ResourceOptions(providers=[aws, cluster.kubernetes_provider])

backend = KubeflowRdsS3Backend(
    "backend",
    KubeflowRdsS3BackendArgs(
        context=context,
        database=settings.database,
        artifacts=settings.artifacts,
        profiles=[user.namespace for user in settings.users],
        vpc_id=cluster.vpc_id,
        subnet_ids=cluster.private_subnet_ids,
        client_security_group_ids=[cluster.node_security_group_id],
        oidc=cluster.oidc,
    ),
    everywhere,
)

if context.mirror.enabled:
    mirror = ImageMirrorWebhook(
        "mirror",
        ImageMirrorWebhookArgs(
            context=context,
            images=tuple(renders.inventory(context.image_registry, context.mirror.cached)),
            build=build_side(context),
            pods=renders.image_mirror,
            oidc=cluster.oidc,
            ready=cluster.ready,
        ),
        everywhere,
    )
    ready += mirror.ready

if renders.karpenter is not None:
    gpu = KarpenterGpuPool(
        "gpu",
        KarpenterGpuPoolArgs(
            context=context,
            gpu_pool=settings.gpu_pool,
            pools=pools_of(settings, context.region),
            cluster_name=cluster.cluster_name,
            cluster_arn=cluster.cluster_arn,
            cluster_endpoint=cluster.endpoint,
            kubeconfig_json=cluster.kubeconfig_json,
            oidc=cluster.oidc,
            karpenter=renders.karpenter,
            add_ons=renders.add_ons.get("gpu", {}),
            ready=ready,
        ),
        everywhere,
    )

kubeflow = KubeflowManifests(
    "kubeflow",
    KubeflowManifestsArgs(
        context=context,
        users=settings.users,
        rendered=renders.kubeflow,
        values=late_values(context, settings, backend),
        profile_roles=backend.profile_role_arns,
        kubeconfig=cluster.kubeconfig_json,
        cluster_arn=cluster.cluster_arn,
        ready=ready,
    ),
    everywhere,
)

pulumi.export("kubeconfig", cluster.kubeconfig_json)
pulumi.export("bucket", backend.bucket_name)
pulumi.export("databaseEndpoint", backend.database_host)
pulumi.export("registry", context.image_prefix)
pulumi.export("roleArns", backend.role_arns)
export_hints(context, cluster, kubeflow.login_secret_arn)
