"""What would leave the partition, point nowhere or open a door to everybody stops the render."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rendering import LeakError, find_leaks
from rendering.objects import Object

REGISTRY = "<<image.prefix>>"
SUFFIX = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
}
HASH = "$2y$12$4K/VkmDd1q1Orb3xAt82zu8gk7Ad6ReFR4LCP9UeYE90NLiN9Df72"


def obj(kind: str, name: str = "n/x", **rest: Any) -> Object:
    namespace, _, own = name.rpartition("/")
    metadata: dict[str, Any] = {"name": own}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": metadata | rest.pop("metadata", {}),
        **rest,
    }


def config(text: str, key: str = "k", name: str = "n/x") -> Object:
    return obj("ConfigMap", name, data={key: text})


def values(
    thing: Object, partition: str = "aws-cn", registry: str | None = None, *, bound: bool = False
) -> list[str]:
    found = find_leaks(
        [thing],
        partition=partition,
        dns_suffix=SUFFIX[partition],
        registry=registry,
        bound=bound,
    )
    return [leak.value for leak in found]


@pytest.mark.parametrize(
    ("text", "leaks_in"),
    [
        ("arn:aws:s3:::b", {"aws-cn", "aws-us-gov", "aws-eusc"}),
        ("arn:aws-cn:s3:::b", {"aws", "aws-us-gov", "aws-eusc"}),
        ("arn:aws-us-gov:s3:::b", {"aws", "aws-cn", "aws-eusc"}),
        ("arn:<<region.partition>>:s3:::b", set[str]()),
        ("s3.amazonaws.com", {"aws-cn", "aws-eusc"}),
        ("https://s3.cn-north-1.amazonaws.com/b", {"aws-cn", "aws-eusc"}),
        ("s3.cn-north-1.amazonaws.com.cn", {"aws", "aws-us-gov", "aws-eusc"}),
        ("s3.eusc-de-east-1.amazonaws.eu", {"aws", "aws-cn", "aws-us-gov"}),
        ("s3.<<region.name>>.amazonaws.com", {"aws-cn", "aws-eusc"}),
        ("<<s3.host>>", set[str]()),
        ("https://sts.amazonaws.com", {"aws-cn", "aws-eusc"}),
        ("sts.amazonaws.com", set[str]()),
        ("eks.amazonaws.com/role-arn", set[str]()),
        ("ec2.amazonaws.com", {"aws-cn", "aws-eusc"}),
        ("mirrors.example.com.cn", {"aws", "aws-us-gov", "aws-eusc"}),
        ("# see https://boto3.amazonaws.com/v1/documentation", {"aws-cn", "aws-eusc"}),
        ("nobody@amazon.com", set[str]()),
    ],
)
def test_hosts_and_arns_belong_to_the_partition(text: str, leaks_in: set[str]) -> None:
    assert {partition for partition in SUFFIX if values(config(text), partition)} == leaks_in


def test_keys_of_annotations_are_read_too() -> None:
    thing = obj(
        "ServiceAccount",
        metadata={"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"}},
    )
    assert values(thing) == ["arn:aws:"]


def test_a_service_principal_is_right_in_every_partition() -> None:
    thing = obj("Policy", spec={"Principal": {"Service": "ec2.amazonaws.com"}})
    assert values(thing) == []


@pytest.mark.parametrize(
    ("thing", "leak"),
    [
        (obj("Pod", spec={"containers": [{"image": "a/b:1"}]}), ["a/b:1"]),
        (
            obj("Pod", spec={"containers": [{"image": f"{REGISTRY}/docker.io/a/b:1"}]}),
            [],
        ),
        (config("run ghcr.io/kubeflow/kfp-frontend:2 now"), ["ghcr.io/kubeflow/kfp-frontend:2"]),
        (config("us-docker.pkg.dev/p/r/i:1"), ["us-docker.pkg.dev/p/r/i:1"]),
        (config("# like ghcr.io/a/b:1"), []),
        (config("see https://ghcr.io/a/b"), []),
        (config("myghcr.io/a/b"), []),
        (config("ghcr.io is a registry"), []),
        (obj("CustomResourceDefinition", "x", spec={"d": "ghcr.io/a/b:1"}), ["ghcr.io/a/b:1"]),
        (
            {
                **obj("CustomResourceDefinition", "x", spec={"d": "ghcr.io/a/b:1"}),
                "apiVersion": "apiextensions.k8s.io/v1",
            },
            [],
        ),
    ],
)
def test_images_come_from_the_accounts_registry(thing: Object, leak: list[str]) -> None:
    assert sorted(set(values(thing, registry=REGISTRY))) == leak
    assert values(thing, registry=None) == []


@pytest.mark.parametrize(
    ("image", "leaks_out"),
    [
        ("quay.io/a/b:1", True),
        ("gcr.io/a/b:1", False),
        (f"{REGISTRY}/quay.io/a/b:1", False),
    ],
)
def test_a_registry_with_caches_must_serve_their_images_and_no_others(
    image: str, leaks_out: bool
) -> None:
    things = [obj("Pod", spec={"containers": [{"image": image}]}), config(f"use {image} here")]
    found = find_leaks(
        things,
        partition="aws",
        dns_suffix=SUFFIX["aws"],
        registry=REGISTRY,
        cached_registries=["quay.io"],
    )
    assert {leak.value for leak in found} == ({image} if leaks_out else set())
    assert {leak.object.kind for leak in found} == ({"Pod", "ConfigMap"} if leaks_out else set())


@pytest.mark.parametrize(
    ("image", "leaks_out"), [("quay.io/own/b:1", False), ("quay.io/owner/b:1", True)]
)
def test_a_registry_of_the_region_is_one_by_its_whole_name(image: str, leaks_out: bool) -> None:
    found = find_leaks(
        [config(f"use {image} here")],
        partition="aws-cn",
        dns_suffix=SUFFIX["aws-cn"],
        registry=REGISTRY,
        in_region_registries=["quay.io/own"],
    )
    assert [leak.value for leak in found] == ([image] if leaks_out else [])


@pytest.mark.parametrize(
    ("kind", "field", "leaks_out"),
    [
        ("ValidatingAdmissionPolicy", "expression", False),
        ("ValidatingAdmissionPolicy", "message", True),
        ("MutatingAdmissionPolicy", "expression", True),
    ],
)
def test_an_image_that_a_policy_compares_with_is_not_pulled(
    kind: str, field: str, *, leaks_out: bool
) -> None:
    image = "docker.io/library/alpine:3.23"
    policy = obj(kind, "rules", spec={"variables": [{"name": "known", field: f"['{image}']"}]})
    assert values(policy, registry=REGISTRY) == ([image] if leaks_out else [])
    arn = obj(kind, "rules", spec={"variables": [{"name": "known", field: "arn:aws:s3:::b"}]})
    assert values(arn, registry=REGISTRY) == ["arn:aws:"]


def container(**fields: Any) -> Object:
    spec = {"template": {"spec": {"containers": [{"name": "c", **fields}]}}}
    return {**obj("Deployment", spec=spec), "apiVersion": "apps/v1"}


A = [{"name": "A", "value": "1"}]


@pytest.mark.parametrize(
    ("thing", "leak"),
    [
        (obj("Profile", "$(profile-name)"), ["$(profile-name)"]),
        (config("host: $(dbHost)"), ["$(dbHost)"]),
        (container(args=["--a=$(A)"], env=A), []),
        (container(args=["--a=$(B)"], env=A), ["$(B)"]),
        (container(env=[*A, {"name": "B", "value": "$(A)/b"}]), []),
        (container(command=["$(B)"], envFrom=[{"configMapRef": {"name": "c"}}]), []),
        (container(command=["sh", "-c", "echo $(hostname) now"]), []),
        (container(image="$(A)", env=A), ["$(A)"]),
        (
            container(lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "a; $(b)"]}}}),
            [],
        ),
        (config("x: {{ .Values.y }}"), ["{{ .Values.y }}"]),
        (config("# x: {{ .Values.y }}"), []),
        (config("{{ .Values.y }}", "config", "istio-system/istio-sidecar-injector"), []),
        (config("{{ .Values.y }}", "config", "istio-system/other"), ["{{ .Values.y }}"]),
        (config("$(HOST_IP):1", "values", "istio-system/istio-sidecar-injector"), []),
        (config("keyFormat: a/{{workflow.name}}/{{pod.name}}"), []),
        (config("{{ .Name }}.x", "ingress", "kubeflow/inferenceservice-config"), []),
        (
            config("{{ .Values.x }}", "ingress", "kubeflow/inferenceservice-config"),
            ["{{ .Values.x }}"],
        ),
        (obj("ClusterServingRuntime", "x", spec={"a": ["--model_name={{.Name}}"]}), []),
        (config("lr=${trialParameters.lr}", "t", "kubeflow/trial-templates"), []),
        (config("lr=${trialParameters.lr}"), ["${trialParameters.lr}"]),
        (obj("ConfigMap", data={"bucketName": ""}), [""]),
        (obj("ConfigMap", data={"dbHost": ""}), [""]),
        (obj("ConfigMap", data={"defaultPipelineRoot": ""}), []),
        (config("bucket: ''\nregion: x"), ["bucket: ''"]),
        (config('  endpoint: ""'), ['endpoint: ""']),
        (config("url: http://:9000/"), ["http://"]),
        (config("url: http://host:9000/"), []),
    ],
)
def test_nothing_is_left_to_be_filled_in(thing: Object, leak: list[str]) -> None:
    assert values(thing) == leak


def test_markers_are_right_until_the_values_are_known() -> None:
    thing = config("host: <<database.host>>")
    assert values(thing) == []
    assert values(thing, bound=True) == ["<<database.host>>"]


@pytest.mark.parametrize("spelling", ["stringData", "data"])
@pytest.mark.parametrize(
    "secret",
    [
        HASH,
        "pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok",
        "7d16fee92f8d11b8940b081b3f8b8acb",
        "minio",
        "minio123",
        "root",
        "test",
    ],
)
def test_passwords_that_everybody_has_are_found(secret: str, spelling: str) -> None:
    written = base64.b64encode(secret.encode()).decode() if spelling == "data" else secret
    assert values(obj("Secret") | {spelling: {"k": written}}) == [secret]


@pytest.mark.parametrize(
    "secret", ["rooted", "minio-service", "latest", "", "<<database.password>>"]
)
def test_other_values_of_secrets_are_not(secret: str) -> None:
    assert values(obj("Secret", stringData={"k": secret})) == []
    assert values(obj("Secret", stringData="[secret]", data="[secret]")) == []


def test_a_password_in_a_configmap_is_found_too() -> None:
    assert values(config(f"hash: {HASH}")) == [HASH]


@pytest.mark.parametrize("kind", ["ConfigMap", "Profile"])
def test_upstreams_user_is_found_until_the_stacks_own_users_are_in(kind: str) -> None:
    thing = obj(kind, data={"owner": "user@example.com"})
    assert values(thing) == ["user@example.com"]
    assert values(thing, bound=True) == []


def test_the_error_has_one_line_per_leak_with_object_path_and_value() -> None:
    leaks = find_leaks(
        [config("arn:aws:s3:::b", "a.yaml"), obj("Secret", stringData={"k": "test"})],
        partition="aws-cn",
        dns_suffix=SUFFIX["aws-cn"],
        registry=None,
    )
    lines = str(LeakError(leaks)).splitlines()
    assert lines == [
        "v1/ConfigMap n/x data.a.yaml: 'arn:aws:': belongs to another partition than aws-cn",
        "v1/Secret n/x stringData.k: 'test': is the database password of every Katib",
    ]


# Names under which the registries of Docker, Google, GitHub, Red Hat, NVIDIA, Kubernetes, AWS and
# Microsoft and Istio publish images, aliases and caches included.
PUBLIC = """
    docker.io index.docker.io registry-1.docker.io gcr.io us.gcr.io eu.gcr.io asia.gcr.io
    mirror.gcr.io us-docker.pkg.dev ghcr.io quay.io nvcr.io registry.k8s.io k8s.gcr.io
    public.ecr.aws mcr.microsoft.com registry.istio.io
"""


@pytest.mark.parametrize("host", PUBLIC.split())
def test_an_image_of_a_public_registry_is_a_leak_where_a_stack_has_copies(host: str) -> None:
    image = f"{host}/group/name:1"
    assert values(config(f"--image={image}"), registry=REGISTRY) == [image]
    assert values(config(f"--image={REGISTRY}/{image}"), registry=REGISTRY) == []
