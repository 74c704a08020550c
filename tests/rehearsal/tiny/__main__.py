"""A made-up platform: two regions, a cluster, a database, objects, and a type nobody knows."""

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as k8s
from tiny_note import Note  # pyright: ignore[reportMissingImports]  (beside it when it runs)

from tests.harness import TRUST

config = pulumi.Config()
seconds = config.require_int("seconds")
beijing = aws.Provider("beijing", region="cn-north-1")
oregon = aws.Provider("oregon", region="us-west-2")
here = pulumi.ResourceOptions(provider=beijing)

role = aws.iam.Role("role", assume_role_policy=TRUST, opts=here)
far = aws.iam.Role("far", assume_role_policy=TRUST, opts=pulumi.ResourceOptions(provider=oregon))
queue = aws.sqs.Queue("queue", visibility_timeout_seconds=seconds, opts=here)
database = aws.rds.Instance(
    "database",
    instance_class="db.m6g.large",
    engine=config.require("engine"),
    password=pulumi.Output.secret("correct-horse-battery"),
    skip_final_snapshot=True,
    opts=here,
)
cluster = eks.Cluster(
    "cluster",
    name="tiny",
    vpc_id="vpc-1",
    private_subnet_ids=["subnet-1", "subnet-2"],
    authentication_mode=eks.AuthenticationMode.API,
    skip_default_node_group=True,
    skip_default_security_groups=True,
    use_default_vpc_cni=True,
    create_instance_role=False,
    kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
    coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
    provider_credential_opts=eks.KubeconfigOptionsArgs(),
    opts=pulumi.ResourceOptions(providers={"aws": beijing}),
)
inside = pulumi.ResourceOptions(
    provider=k8s.Provider("kubernetes", kubeconfig=cluster.kubeconfig_json)
)
roles = k8s.core.v1.ConfigMap(
    "roles",
    metadata={"name": "roles", "namespace": "default"},
    data={"here": role.arn, "far": far.arn},
    opts=inside,
)
pulumi.CustomResource(
    "kubernetes:example.com/v1:Thing",
    "default/thing",
    {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "thing", "namespace": "default"},
        "spec": {"seconds": seconds, "anything": ["goes", {"here": True}]},
    },
    pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[roles])),
)
secret = k8s.core.v1.Secret(
    "login",
    metadata={"name": "login", "namespace": "default"},
    string_data={"password": config.require_secret("password")},
    opts=inside,
)
pulumi.CustomResource("aws:quantum/entangler:Entangler", "entangler", {"qubits": 3}, here)
Note("note", role.arn)
pulumi.export("role", role.arn)
pulumi.export("roles", {"here": role.arn, "far": far.arn})
pulumi.export("password", config.require_secret("password"))
