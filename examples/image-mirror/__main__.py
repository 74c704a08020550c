"""The image mirror on an EKS cluster that exists, without Kubeflow; see docs/mirror-alone.md."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from eks_image_mirror import image_mirror

config, profile = pulumi.Config(), pulumi.Config("aws").get("profile")
name, region = config.require("cluster"), config.require("region")

# The account and the cluster as they are: `aws eks update-kubeconfig` names a context by the ARN.
account = aws.Provider("aws", region=region, profile=profile)
looked_up = pulumi.InvokeOptions(provider=account)
cluster = aws.eks.get_cluster(name=name, opts=looked_up)
url = cluster.identities[0].oidcs[0].issuer
oidc = aws.iam.get_open_id_connect_provider(url=url, opts=looked_up)
objects = kubernetes.Provider("kubernetes", context=cluster.arn, enable_secret_mutable=True)

mirror = image_mirror(
    "mirror",
    cluster=name,
    region=region,
    kubernetes_version=cluster.version,
    oidc_provider_arn=oidc.arn,
    aws_provider=account,
    kubernetes_provider=objects,
    images=config.get_object("images") or [],
)
pulumi.export("registry", mirror.registry)
pulumi.export("nodePolicy", mirror.node_policy)
