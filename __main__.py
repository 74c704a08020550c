"""One region name in, one machine-learning platform out.

Five components in the order of their dependencies: cluster, backend, image mirror, GPU pool,
Kubeflow. The stack file has all settings; Pulumi.cn-north-1.yaml explains each.
"""

import pulumi

from components.backend import KubeflowRdsS3Backend, KubeflowRdsS3BackendArgs
from components.cluster import EksCluster, EksClusterArgs
from components.gpu import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.gpu.node_pools import pools_of
from components.kubeflow import KubeflowManifests, KubeflowManifestsArgs
from components.mirror import ApiServer, ImageMirrorWebhook, ImageMirrorWebhookArgs
from components.mirror.accounts import build_side
from program import (
    check_release,
    config_files,
    database_users,
    deploy_values,
    export_outputs,
    render_stack,
    stack_context,
    stack_settings,
    vpc_ranges,
)

settings = stack_settings()
check_release(settings)
context, aws = stack_context(settings)
renders = render_stack(settings, context.region)

# EKS: network, control plane, nodes, add-ons, storage.
cluster = EksCluster(
    "cluster",
    EksClusterArgs(
        context=context,
        cluster=settings.cluster,
        network=settings.network,
        node_group=settings.node_group,
        shared_files=settings.shared_files,
    ),
    pulumi.ResourceOptions(providers=[aws]),
)
providers = pulumi.ResourceOptions(providers=[aws, cluster.kubernetes_provider])

# RDS and S3 in place of Kubeflow's MySQL and object store, and the IAM roles of their clients; EFS
# with sharedFiles.enabled.
backend = KubeflowRdsS3Backend(
    "backend",
    KubeflowRdsS3BackendArgs(
        context=context,
        database=settings.database,
        database_users=database_users(settings),
        model_catalog=settings.model_catalog,
        artifacts=settings.artifacts,
        shared_files=settings.shared_files,
        profiles=[user.namespace for user in settings.users],
        team_buckets={user.namespace: user.buckets for user in settings.users},
        vpc_id=cluster.vpc_id,
        subnet_ids=cluster.private_subnet_ids,
        client_security_group_ids=[cluster.node_security_group_id],
        oidc=cluster.oidc,
        mount_target_subnet_ids=cluster.mount_target_subnet_ids,
        cluster_name=cluster.cluster_name,
        kubernetes_version=settings.cluster.version,
        ready=cluster.ready,
    ),
    providers,
)

# Images from the account's own registry: copies, or ECR's own pulls. Pods depend on `ready`.
ready = [*cluster.ready]
if context.mirror.enabled:
    mirror = ImageMirrorWebhook(
        "mirror",
        ImageMirrorWebhookArgs(
            context=context,
            images=tuple(renders.inventory(context.image_registry, context.mirror.cached)),
            digests=renders.digests(),
            sizes=renders.sizes(),
            build=build_side(context),
            pods=renders.image_mirror,
            oidc=cluster.oidc,
            callers=cluster.control_plane_cidrs,
            ready=cluster.ready,
            unready_pods=cluster.unready_pods,
            kubernetes=settings.cluster.version,
            api_server=ApiServer(
                cluster=cluster.cluster_name,
                endpoint=cluster.endpoint,
                authority=cluster.certificate_authority,
                vpc_id=cluster.vpc_id,
                subnet_ids=cluster.private_subnet_ids,
                security_group_id=cluster.security_group_id,
            ),
        ),
        providers,
    )
    ready += mirror.ready

# GPU nodes from zero: Karpenter, its pools, the device plugin; not with gpuPool.enabled at false.
if renders.karpenter is not None:
    KarpenterGpuPool(
        "gpu",
        KarpenterGpuPoolArgs(
            context=context,
            gpu_pool=settings.gpu_pool,
            pools=pools_of(settings, context.region),
            cluster_name=cluster.cluster_name,
            cluster_arn=cluster.cluster_arn,
            cluster_endpoint=cluster.endpoint,
            subnet_ids=cluster.private_subnet_ids,
            node_security_group_id=cluster.node_security_group_id,
            kubeconfig_json=cluster.kubeconfig_json,
            oidc=cluster.oidc,
            karpenter=renders.karpenter,
            upgrade_confirmed=settings.upgrade_confirmed,
            add_ons=renders.add_ons.get("gpu", {}),
            ready=ready,
            unready_pods=cluster.unready_pods,
        ),
        providers,
    )

# Kubeflow's objects with the backend's addresses, logins and a profile per user.
kubeflow = KubeflowManifests(
    "kubeflow",
    KubeflowManifestsArgs(
        context=context,
        users=settings.users,
        login=settings.login,
        deletable_namespaces=settings.deletable_namespaces,
        release=settings.release,
        upgrade_confirmed=settings.upgrade_confirmed,
        rendered=renders.kubeflow,
        parts=renders.parts,
        values=deploy_values(context, settings, backend, vpc_ranges(settings, aws)),
        files=config_files(settings),
        profile_roles=backend.profile_role_arns,
        kubeconfig=cluster.kubeconfig_json,
        cluster_arn=cluster.cluster_arn,
        oidc=cluster.oidc,
        ready=[*ready, *backend.ready],
        unready_pods=cluster.unready_pods,
        package_defaults=renders.package_defaults,
        callers=cluster.control_plane_cidrs,
    ),
    providers,
)

export_outputs(context, renders.parts, cluster, backend, kubeflow.login_secret_arn)
