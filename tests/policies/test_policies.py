"""Each policy is broken by one change to a real plan, and names resource, property and value."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import pytest

from policies import exemptions, loading
from policies.model import UNKNOWN, Resource, Stack, Violation
from policies.verdicts import findings
from tests.policies.changes import (
    API,
    BLOCK,
    BUCKET,
    CLUSTER,
    CN,
    DATABASE,
    DIGEST,
    EFS,
    FILES,
    GROUP,
    INGRESS,
    KEY,
    LIFECYCLE,
    NEEDS_ARM,
    NODE_CLASS,
    NODES,
    NOT_NARROWED,
    OBJECT,
    OWN,
    POOL,
    QUEUE,
    TLS_ONLY,
    US,
    balancer,
    cluster,
    deployment,
    drop,
    grant,
    ingress,
    needs,
    own_pool,
    put,
    secret,
    service,
    statement,
)
from tests.policies.stacks import beside, changed, resource, stack, without

POLICIES = {each.name: each for each in loading.shipped()}

BROKEN: Sequence[tuple[str, Callable[[], Stack], str]] = [
    (
        "public-database",
        lambda: changed(CN, DATABASE, put("publiclyAccessible", True)),
        f"{DATABASE}: publiclyAccessible is true: it gets an address on the internet; set it to",
    ),
    ("public-bucket", lambda: without(CN, BLOCK), 'bucket is "kubeflow-111122223333-cn-north-1"'),
    (
        "public-bucket",
        lambda: changed(CN, BLOCK, put("blockPublicPolicy", False)),
        "set it to true",
    ),
    (
        "public-bucket",
        lambda: changed(CN, BUCKET, put("acl", "public-read")),
        'acl is "public-read"',
    ),
    (
        "public-document",
        lambda: changed(
            CN, TLS_ONLY, statement("policy", Sid="All", Principal="*", Action="s3:GetObject")
        ),
        f'{TLS_ONLY}: policy is "All": it allows every account in the world',
    ),
    (
        "public-document",
        lambda: changed(
            CN, KEY, statement("policy", Principal={"AWS": ["*"]}, Action=["kms:Decrypt"])
        ),
        'policy is ["kms:Decrypt"]',
    ),
    *(
        (
            "public-document",
            lambda values=values: changed(
                CN, TLS_ONLY, statement("policy", Sid="All", Action="s3:GetObject", **values)
            ),
            'policy is "All"',
        )
        for values in NOT_NARROWED
    ),
    (
        "public-document",
        lambda: beside(CN, resource("aws:lambda/permission:Permission", "any", principal="*")),
        'principal is "*"',
    ),
    (
        "public-endpoint",
        lambda: changed(CN, CLUSTER, cluster(publicAccessCidrs=["203.0.113.10/32", "0.0.0.0/0"])),
        f'{CLUSTER}: vpcConfig.publicAccessCidrs is ["203.0.113.10/32", "0.0.0.0/0"]: the whole',
    ),
    (
        "public-endpoint",
        lambda: changed(CN, CLUSTER, lambda inputs: inputs["vpcConfig"].pop("publicAccessCidrs")),
        "vpcConfig.publicAccessCidrs is not set",
    ),
    (
        "public-endpoint",
        lambda: beside(
            CN, resource("aws:lambda/functionUrl:FunctionUrl", "url", authorizationType="NONE")
        ),
        'authorizationType is "NONE"',
    ),
    ("public-endpoint", lambda: stack(API), "authorizationType is not set"),
    ("public-endpoint", lambda: service(spec={"type": "LoadBalancer"}), "a/b: spec.loadBalancer"),
    (
        "public-endpoint",
        lambda: service(
            metadata={
                "annotations": {
                    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"
                }
            },
            spec={
                "type": "LoadBalancer",
                "loadBalancerClass": "service.k8s.aws/nlb",
                "loadBalancerSourceRanges": ["0.0.0.0/0"],
            },
        ),
        'spec.loadBalancerSourceRanges is ["0.0.0.0/0"]',
    ),
    (
        "public-endpoint",
        lambda: changed(CN, CLUSTER, cluster(publicAccessCidrs=["0.0.0.0/1", "128.0.0.0/1"])),
        'vpcConfig.publicAccessCidrs is ["0.0.0.0/1", "128.0.0.0/1"]',
    ),
    (
        "public-endpoint",
        lambda: beside(CN, resource("aws:lb/loadBalancer:LoadBalancer", "own")),
        "own: internal is not set",
    ),
    ("public-endpoint", lambda: ingress(scheme="internet-facing"), "a/b: metadata.annotations is"),
    (
        "public-endpoint",
        lambda: ingress(scheme="internet-facing", inbound_cidrs="10.0.0.0/8, 0.0.0.0/0"),
        "a/b: metadata.annotations is",
    ),
    (
        "public-endpoint",
        lambda: balancer(
            {"aws-load-balancer-internal": "false"}, loadBalancerClass="service.k8s.aws/nlb"
        ),
        "a/b: spec.loadBalancerSourceRanges is not set",
    ),
    (
        "open-ingress",
        lambda: changed(CN, INGRESS, put("cidrIpv4", "128.0.0.0/1")),
        'cidrIpv4 is "128',
    ),
    ("open-ingress", lambda: changed(CN, INGRESS, put("cidrIpv6", "2000::/3")), 'is "2000::/3"'),
    (
        "open-ingress",
        lambda: beside(
            CN,
            resource(
                "aws:ec2/managedPrefixList:ManagedPrefixList",
                "own",
                entries=[{"cidr": "10.0.0.0/8"}, {"cidr": "0.0.0.0/0"}],
            ),
        ),
        'own: entries.1.cidr is "0.0.0.0/0"',
    ),
    (
        "open-ingress",
        lambda: changed(CN, INGRESS, put("cidrIpv4", "0.0.0.0/0")),
        'cidrIpv4 is "0.0',
    ),
    ("open-ingress", lambda: changed(CN, INGRESS, put("cidrIpv6", "::/0")), 'cidrIpv6 is "::/0"'),
    (
        "open-ingress",
        lambda: changed(CN, GROUP, put("ingress", [{"cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"]}])),
        f"{GROUP}: ingress.0.cidrBlocks is",
    ),
    (
        "open-ingress",
        lambda: beside(
            CN,
            resource(
                "aws:ec2/securityGroupRule:SecurityGroupRule",
                "rule",
                type="ingress",
                cidrBlocks=["0.0.0.0/0"],
            ),
        ),
        "rule: cidrBlocks is",
    ),
    (
        "encryption-at-rest",
        lambda: changed(CN, DATABASE, put("storageEncrypted", False)),
        "storageEncrypted is false",
    ),
    ("encryption-at-rest", lambda: changed(FILES, EFS, drop("encrypted")), "encrypted is not set"),
    (
        "encryption-at-rest",
        lambda: changed(CN, CLUSTER, drop("encryptionConfig")),
        "encryptionConfig.resources is not set",
    ),
    (
        "encryption-at-rest",
        lambda: changed(CN, QUEUE, drop("sqsManagedSseEnabled")),
        "sqsManagedSseEnabled is not set",
    ),
    (
        "encryption-at-rest",
        lambda: without(
            CN,
            "aws:s3/bucketServerSideEncryptionConfiguration:"
            "BucketServerSideEncryptionConfiguration backend-artifacts-encryption",
        ),
        "it has no BucketServerSideEncryptionConfiguration",
    ),
    (
        "encryption-at-rest",
        lambda: changed(
            CN,
            "aws:ec2/launchTemplate:LaunchTemplate cluster-nodes-template",
            put("blockDeviceMappings.0.ebs.encrypted", "false"),
        ),
        'blockDeviceMappings.0.ebs.encrypted is "false"',
    ),
    (
        "encryption-at-rest",
        lambda: changed(
            CN,
            "aws:s3/bucketServerSideEncryptionConfiguration:"
            "BucketServerSideEncryptionConfiguration backend-artifacts-encryption",
            put("rules", []),
        ),
        "it has no BucketServerSideEncryptionConfiguration with a rule",
    ),
    (
        "encryption-at-rest",
        lambda: Stack(
            [*unknown_of_bucket(), resource("aws:s3/bucket:Bucket", "own", bucket="own")]
        ),
        "Bucket own: bucket is",
    ),
    (
        "encryption-at-rest",
        lambda: changed(
            CN,
            "aws:ec2/launchTemplate:LaunchTemplate cluster-nodes-template",
            drop("blockDeviceMappings"),
        ),
        "blockDeviceMappings is not set",
    ),
    (
        "encryption-at-rest",
        lambda: changed(CN, NODES, drop("launchTemplate")),
        f"{NODES}: launchTemplate is not set",
    ),
    (
        "encryption-at-rest",
        lambda: changed(CN, NODE_CLASS, put("spec.blockDeviceMappings.0.ebs.encrypted", False)),
        "spec.blockDeviceMappings.0.ebs.encrypted is false",
    ),
    (
        "encryption-at-rest",
        lambda: changed(
            CN,
            "kubernetes:storage.k8s.io/v1:StorageClass cluster-storage-gp3",
            put("parameters.encrypted", "false"),
        ),
        'parameters.encrypted is "false"',
    ),
    (
        "customer-key",
        lambda: changed(
            CN, "aws:secretsmanager/secret:Secret backend-database-master", drop("kmsKeyId")
        ),
        "backend-database-master: kmsKeyId is not set",
    ),
    ("encryption-in-transit", lambda: without(CN, TLS_ONLY), "deny s3:* where aws:SecureTransport"),
    (
        "encryption-in-transit",
        lambda: without(
            FILES, "aws:efs/fileSystemPolicy:FileSystemPolicy backend-shared-files-tls-only"
        ),
        f"{EFS}: encrypted is true: no FileSystemPolicy",
    ),
    *(
        (
            "encryption-in-transit",
            lambda old=old, new=new: changed(
                CN,
                TLS_ONLY,
                lambda inputs: inputs.update(policy=inputs["policy"].replace(old, new)),
            ),
            "deny s3:* where",
        )
        for old, new in (
            ('"s3:*"', '"s3:PutObject"'),
            ('"Deny"', '"Allow"'),
            ('"Bool":', '"StringEquals": {"aws:PrincipalTag/a": "b"}, "Bool":'),
        )
    ),
    (
        "encryption-in-transit",
        lambda: without(US, "aws:rds/parameterGroup:ParameterGroup backend-database-parameters"),
        f"{DATABASE}: parameterGroupName is",
    ),
    ("encryption-in-transit", lambda: stack(US), '"require_secure_transport=0"'),
    (
        "iam-wildcard",
        lambda: changed(CN, LIFECYCLE, statement("policy", Action="ec2:*", Resource="arn:x")),
        'policy Action is "ec2:*"',
    ),
    (
        "iam-wildcard",
        lambda: changed(
            CN, LIFECYCLE, statement("policy", Action=["s3:GetObject"], Resource=["*"])
        ),
        f'{LIFECYCLE}: policy Resource is "*": s3:GetObject of everything',
    ),
    (
        "iam-wildcard",
        lambda: changed(
            CN, LIFECYCLE, statement("policy", Sid="Rest", NotAction="iam:*", Resource="arn:x")
        ),
        f'{LIFECYCLE}: policy is "Rest": NotAction allows every other action',
    ),
    (
        "iam-wildcard",
        lambda: beside(
            CN,
            resource(
                "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
                "admin",
                policyArn="arn:aws-cn:iam::aws:policy/AdministratorAccess",
            ),
        ),
        'policyArn is "arn:aws-cn:iam::aws:policy/AdministratorAccess"',
    ),
    *(
        (
            "iam-wildcard",
            lambda action=action: grant(Action=action, Resource=OBJECT),
            f'"{action}": it',
        )
        for action in ("s3:**", "s3:?*", "*:*", "s*:*", "*")
    ),
    *(
        (
            "iam-wildcard",
            lambda name=name: grant(Action="s3:GetObject", Resource=[name]),
            f'policy Resource is "{name}": s3:GetObject of everything',
        )
        for name in ("**", "arn:*", "arn:aws-cn:*", "arn:*:*:*:*:*", "arn:aws-cn:s3:::*")
    ),
    (
        "iam-wildcard",
        lambda: grant(Action="s3:GetObject", NotResource=OBJECT),
        f'policy NotResource is "{OBJECT}": s3:GetObject of everything else',
    ),
    (
        "iam-wildcard",
        lambda: beside(
            CN,
            resource(
                "aws:iam/role:Role",
                "own",
                inlinePolicies=[{"policy": '{"Statement": {"Effect": "Allow", "Action": "*"}}'}],
            ),
        ),
        'own: inlinePolicies.0.policy Action is "*"',
    ),
    (
        "partition-leak",
        lambda: changed(CN, POOL, put("metadata.annotations.role", "see arn:aws:iam::1:role/x.")),
        f'{POOL}: metadata.annotations.role is "arn:aws:iam::1:role/x.": it belongs to another',
    ),
    (
        "partition-leak",
        lambda: changed(CN, POOL, put("metadata.annotations.url", "https://s3.amazonaws.com/b")),
        'is "https://s3.amazonaws.com/b": hosts of aws-cn end in amazonaws.com.cn',
    ),
    (
        "partition-leak",
        lambda: changed(
            "us-gov-west-1", LIFECYCLE, statement("policy", Action="a:b", Resource="arn:aws:s3:::b")
        ),
        'policy is "arn:aws:s3:::b": it belongs to another partition than aws-us-gov',
    ),
    (
        "image-digest",
        lambda: deployment(image=f"{OWN}/x:1"),
        f'.0.image is "{OWN}/x:1": the tag 1 can',
    ),
    (
        "image-registry",
        lambda: deployment(image=f"quay.io/x/y@{DIGEST}"),
        f'a/b: spec.template.spec.containers.0.image is "quay.io/x/y@{DIGEST}": it is pulled from',
    ),
    (
        "image-registry",
        lambda: deployment(env=[{"name": "V2_LAUNCHER_IMAGE", "value": "ghcr.io/x/y:1"}]),
        '.containers.0.env.0.value is "ghcr.io/x/y:1": it is pulled from',
    ),
    (
        "image-registry",
        lambda: deployment(image=f"999{OWN[3:]}/x:1"),
        f'is "999{OWN[3:]}/x:1": it is pulled from',
    ),
    (
        "gpu-pool-limit",
        lambda: changed(CN, POOL, lambda o: o["spec"].pop("limits")),
        "spec.limits is",
    ),
    *(
        (
            "gpu-pool-limit",
            lambda wanted=wanted, limits=limits: own_pool(*wanted, limits=limits),
            "own: spec.limits is",
        )
        for wanted, limits in (
            ((), None),
            ((needs("category", "In", "g", "p"),), {"nvidia.com/foo": 1}),
            ((needs("category", "NotIn", "c", "m", "r"),), None),
            ((needs("generation", "Gt", "4"),), None),
            ((needs("family", "NotIn", "c5"),), None),
            ((needs("family", "In", "g5g"), NEEDS_ARM), None),
        )
    ),
    (
        "gpu-pool-taint",
        lambda: changed(CN, POOL, put("spec.template.spec.taints.0.effect", "PreferNoSchedule")),
        f"{POOL}: spec.template.spec.taints is",
    ),
    (
        "gpu-pool-taint",
        lambda: changed(CN, NODES, put("instanceTypes", ["g5.xlarge"])),
        f"{NODES}: taints is not set: pods without GPUs fill g5.xlarge",
    ),
    *(
        ("unprotected-data", lambda place=place: changed(FILES, place, len, protect=False), place)
        for place in (DATABASE, BUCKET, KEY, EFS, CLUSTER)
    ),
    (
        "unprotected-data",
        lambda: changed(CN, DATABASE, put("deletionProtection", False)),
        "deletionProtection is false",
    ),
    ("unprotected-data", lambda: changed(CN, BUCKET, put("forceDestroy", True)), "forceDestroy is"),
    (
        "default-credentials",
        lambda: beside(
            CN,
            resource(
                "kubernetes:core/v1:ConfigMap",
                "auth/dex",
                data={
                    "config": "hash: $2y$12$4K/VkmDd1q1Orb3xAt82zu8gk7Ad6ReFR4LCP9UeYE90NLiN9Df72"
                },
            ),
        ),
        "auth/dex: data.config is",
    ),
    (
        "default-credentials",
        lambda: secret(stringData={"accesskey": "minio"}),
        "stringData.accesskey",
    ),
    (
        "default-credentials",
        lambda: secret(data={"secretkey": base64.b64encode(b"minio123").decode()}),
        'data.secretkey is "minio123"',
    ),
    ("default-credentials", lambda: secret(stringData={"p": "12341234"}), "dashboard password"),
    ("default-credentials", lambda: secret(stringData={"p": "12341234\n"}), "dashboard password"),
    (
        "default-credentials",
        lambda: changed(CN, DATABASE, put("password", "12341234")),
        'password is "12341234"',
    ),
    (
        "default-credentials",
        lambda: beside(
            CN,
            resource(
                "aws:secretsmanager/secretVersion:SecretVersion",
                "own",
                secretString='{"password": "12341234"}',
            ),
        ),
        'secretString is "12341234"',
    ),
    (
        "default-credentials",
        lambda: deployment(env={"MYSQL_ALLOW_EMPTY_PASSWORD": True}),
        'env.MYSQL_ALLOW_EMPTY_PASSWORD is "MYSQL_ALLOW_EMPTY_PASSWORD=True"',
    ),
    (
        "default-credentials",
        lambda: deployment(env=[{"name": "MYSQL_ALLOW_EMPTY_PASSWORD", "value": "true"}]),
        'containers.0.env.0 is "MYSQL_ALLOW_EMPTY_PASSWORD=true"',
    ),
    (
        "default-credentials",
        lambda: deployment(env=[{"name": "MYSQL_ROOT_PASSWORD", "value": ""}]),
        '"MYSQL_ROOT_PASSWORD="',
    ),
    (
        "open-advisory",
        lambda: deployment(image=f"{OWN}/ghcr.io/kubeflow/kfp-api-server:2.17.0"),
        "GHSA-v83x-544f-ph2r, a run takes a pipeline of another profile: take Pip",
    ),
    (
        "open-advisory",
        lambda: deployment(image=f"{OWN}/ghcr.io/kubeflow/kfp-metadata-envoy:2.16.0"),
        "GHSA-j53r-x5f5-j4hr, ",
    ),
]


def unknown_of_bucket() -> list[Resource]:
    """The plan as the first preview of a real deployment has it: IDs and ARNs are unknown."""
    rows: list[Resource] = []
    for each in stack(CN).resources:
        late = each.type.startswith("aws:s3/bucket") and each.place != BUCKET
        unknown = {key: UNKNOWN for key in ("bucket", "policy") if late and key in each.inputs}
        rows.append(replace(each, inputs={**each.inputs, **unknown}))
    return rows


def violations(name: str, stack: Stack) -> list[Violation]:
    return list(POLICIES[name](stack))


@pytest.mark.parametrize(("name", "broken", "sentence"), BROKEN)
def test_one_change_breaks_the_policy(
    name: str, broken: Callable[[], Stack], sentence: str
) -> None:
    found = [each.sentence for each in violations(name, broken())]
    matching = [each for each in found if sentence in each]
    assert len(matching) == 1, found
    assert matching[0].endswith((".", ")."))


def test_one_configuration_of_an_unknown_bucket_is_for_one_of_two() -> None:
    kind = "BucketServerSideEncryptionConfiguration"
    encrypted = resource(f"aws:s3/b{kind[1:]}:{kind}", "a", bucket=UNKNOWN, rules=[UNKNOWN])
    buckets = [resource("aws:s3/bucket:Bucket", name, bucket=UNKNOWN) for name in ("a", "b")]
    (found,) = violations("encryption-at-rest", Stack([*buckets, encrypted]))
    assert found.sentence.startswith("aws:s3/bucket:Bucket b: ")


def test_every_policy_is_broken_by_a_test() -> None:
    assert {name for name, _, _ in BROKEN} == POLICIES.keys()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (
            "public-endpoint",
            lambda: changed(CN, CLUSTER, cluster(endpointPublicAccess=False, publicAccessCidrs=[])),
        ),
        ("public-endpoint", lambda: service(spec={"type": "ClusterIP"})),
        (
            "public-endpoint",
            lambda: service(
                spec={"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]}
            ),
        ),
        (
            "public-endpoint",
            lambda: service(
                spec={"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb"}
            ),
        ),
        (
            "public-document",
            lambda: changed(
                CN,
                TLS_ONLY,
                statement(
                    "policy",
                    Principal="*",
                    Action="s3:Get*",
                    Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
                ),
            ),
        ),
        ("public-document", lambda: stack(API)),
        ("public-endpoint", lambda: ingress(scheme="internal")),
        (
            "public-endpoint",
            lambda: ingress(scheme="internet-facing", inbound_cidrs="203.0.113.0/24"),
        ),
        ("public-endpoint", lambda: balancer({"aws-load-balancer-internal": "true"})),
        # How the in-tree provider wrote it first.
        ("public-endpoint", lambda: balancer({"aws-load-balancer-internal": "0.0.0.0/0"})),
        ("public-endpoint", lambda: balancer({"load-balancer-source-ranges": "10.0.0.0/8"})),
        (
            "public-endpoint",
            lambda: beside(CN, resource("aws:lb/loadBalancer:LoadBalancer", "own", internal=True)),
        ),
        ("open-ingress", lambda: changed(CN, INGRESS, put("cidrIpv4", "10.0.0.0/8"))),
        ("gpu-pool-limit", lambda: own_pool(limits={"nvidia.com/gpu": 4})),
        ("gpu-pool-limit", lambda: own_pool(needs("gpu-count", "DoesNotExist"))),
        ("gpu-pool-limit", lambda: own_pool(needs("category", "In", "c", "m"))),
        ("default-credentials", lambda: secret(data="[secret]", stringData="[unknown]")),
        (
            "partition-leak",
            lambda: changed(
                CN,
                POOL,
                put("metadata.annotations", {"eks.amazonaws.com/role": "sts.amazonaws.com"}),
            ),
        ),
        ("image-registry", lambda: deployment(image=f"918309763551.dkr.{OWN[17:-9]}/eks/x:1")),
        ("image-registry", lambda: stack(US)),
        ("public-bucket", lambda: changed(CN, BLOCK, put("bucket", UNKNOWN))),
        (
            "encryption-in-transit",
            lambda: Stack([each for each in unknown_of_bucket() if "rds" not in each.type]),
        ),
        ("encryption-at-rest", lambda: Stack(unknown_of_bucket())),
        ("gpu-pool-taint", lambda: stack("several pools")),
        (
            "open-advisory",
            lambda: deployment(image=f"{OWN}/ghcr.io/kubeflow/kfp-api-server:2.18.0"),
        ),
        ("open-advisory", lambda: deployment(image="quay.io/argoproj/workflow-controller:v4.0.6")),
        # Unused here: manifests/26.03/advisories.yaml says why.
        ("open-advisory", lambda: deployment(image="quay.io/oauth2-proxy/oauth2-proxy:v7.14.3")),
        ("open-advisory", lambda: deployment(image="example.com/not-kfp-api-server:2.16.0")),
        ("open-advisory", lambda: deployment(image="example.com/kubeflow/kfp-api-server:latest")),
        ("default-credentials", lambda: secret(data={"p": base64.b64encode(b"other").decode()})),
    ],
)
def test_what_is_right_passes(name: str, kept: Callable[[], Stack]) -> None:
    assert [each.sentence for each in violations(name, kept())] == []


def test_a_secret_is_found_by_its_published_value_and_never_quoted() -> None:
    hidden = resource("kubernetes:core/v1:Secret", "a/b", kind="Secret", data={"p": "[secret]"})
    texts = ("mine-and-minio123-inside", base64.b64encode(b"12341234").decode(), "s3cret-of-mine")
    stack = beside("cn-north-1", replace(hidden, secrets=texts))
    (found, other) = violations("default-credentials", stack)
    assert found.sentence.startswith('kubernetes:core/v1:Secret a/b: a secret value is "minio123"')
    assert "mine" not in found.sentence.replace("minio", "")
    assert "dashboard password" in other.sentence


def test_the_first_place_of_an_image_is_the_same_in_any_order_of_properties() -> None:
    places = {"initContainers": [{"image": "a/b:1"}], "containers": [{"image": "a/b:1"}]}
    for spec in (places, dict(reversed(places.items()))):
        made = Stack([resource("kubernetes:core/v1:Pod", "p", spec=spec)])
        (found,) = violations("image-digest", made)
        assert found.sentence.startswith("kubernetes:core/v1:Pod p: spec.containers.0.image is")


def test_a_fixed_tag_is_exempt_and_latest_is_not() -> None:
    judged = findings(
        Stack(
            [
                resource("kubernetes:core/v1:Pod", tag, spec={"image": f"a/b:{tag}"})
                for tag in ("v1.2.3-gpu", "e236439", "latest", "main")
            ]
        ),
        [POLICIES["image-digest"]],
        exemptions.read()[0],
        date(2026, 11, 29),
    )
    assert {each.urn.rpartition("::")[2]: each.level for each in judged} == {
        "v1.2.3-gpu": "exempt",
        "e236439": "exempt",
        "latest": "advisory",
        "main": "advisory",
    }
