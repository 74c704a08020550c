"""One region name in, one machine-learning platform out.

Read downwards: network and cluster, what replaces MySQL and MinIO, the image mirror, GPU nodes from
zero, Kubeflow on top. The stack file decides everything else (Pulumi.cn-north-1.yaml explains it).
"""

import pulumi

from components.backend import KubeflowRdsS3Backend, KubeflowRdsS3BackendArgs
from components.cluster import EksCluster, EksClusterArgs
from components.gpu import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.kubeflow import KubeflowManifests, KubeflowManifestsArgs
from components.mirror import ImageMirrorWebhook, ImageMirrorWebhookArgs
from program import (
    account_of,
    aws_provider,
    build_side,
    export_hints,
    late_values,
    render_stack,
    stack_settings,
    stack_tags,
)
from regions.region import Region

settings = stack_settings()
region = Region.of(settings.region)
tags = stack_tags(settings)
aws = aws_provider(settings, region, tags)
account_id = account_of(aws)
registry = settings.image_mirror.registry(region, account_id)
mirrored = settings.image_mirror.wanted(region)
renders = render_stack(settings, region)

cluster = EksCluster(
    "cluster",
    EksClusterArgs(settings=settings, region=region, tags=tags),
    pulumi.ResourceOptions(providers=[aws]),
)
ready = [*cluster.ready]
everywhere = pulumi.ResourceOptions(providers=[aws, cluster.kubernetes_provider])

backend = KubeflowRdsS3Backend(
    "backend",
    KubeflowRdsS3BackendArgs(
        settings=settings,
        region=region,
        tags=tags,
        account_id=account_id,
        vpc_id=cluster.vpc_id,
        subnet_ids=cluster.private_subnet_ids,
        client_security_group_ids=[cluster.node_security_group_id],
        oidc_provider_arn=cluster.oidc_provider_arn,
        oidc_issuer=cluster.oidc_issuer,
    ),
    everywhere,
)

if mirrored:
    mirror = ImageMirrorWebhook(
        "mirror",
        ImageMirrorWebhookArgs(
            settings=settings,
            region=region,
            tags=tags,
            account_id=account_id,
            images=tuple(renders.inventory(settings, registry)),
            build=build_side(settings, region, tags),
            pods=renders.image_mirror,
            oidc_provider_arn=cluster.oidc_provider_arn,
            oidc_issuer=cluster.oidc_issuer,
            ready=cluster.ready,
        ),
        everywhere,
    )
    ready += mirror.ready

if settings.gpu_pool.enabled:
    gpu = KarpenterGpuPool(
        "gpu",
        KarpenterGpuPoolArgs(
            settings=settings,
            region=region,
            tags=tags,
            account_id=account_id,
            cluster_name=cluster.cluster_name,
            cluster_arn=cluster.cluster_arn,
            cluster_endpoint=cluster.endpoint,
            kubeconfig_json=cluster.kubeconfig_json,
            oidc_provider_arn=cluster.oidc_provider_arn,
            oidc_issuer=cluster.oidc_issuer,
            image_registry=registry if mirrored else None,
            crds=renders.karpenter_crds.crds,
            device_plugin=renders.device_plugin.objects,
            dcgm_exporter=renders.dcgm_exporter.objects,
            ready=ready,
        ),
        everywhere,
    )

kubeflow = KubeflowManifests(
    "kubeflow",
    KubeflowManifestsArgs(
        settings=settings,
        tags=tags,
        rendered=renders.kubeflow,
        values=late_values(settings, region, account_id, backend),
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
pulumi.export("registry", registry)
pulumi.export("roleArns", backend.role_arns)
export_hints(settings, region, cluster, kubeflow.login_secret_arn)
