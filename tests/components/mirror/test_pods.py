"""The mirror's admission as pods: reached inside the cluster, with rights of its own only."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.mirror.pods import NAMESPACE
from components.objects.webhook_code import code_config_map
from images.reference import parse
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.mirror_mode import MirrorMode
from tests.components.mirror.simulated_image_mirror import (
    CONTROL_PLANE,
    CROSSING,
    DIGESTS,
    IMAGES,
    NODES,
    WITHIN,
    stack,
)
from tests.harness import MASKED, Recorded, Registered
from webhook.rules import Action, Rule, WhenAbsent, read
from webhook.secret_path import SecretPaths
from webhook.server import PATHS_FILE
from webhook.service import Environment

CERTIFICATE = "pulumi-python:dynamic:ServingCertificate"
COPIES = ("pulumi-python:dynamic:MirroredImages", "image-mirror-inventory")
WEBHOOK = "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SERVICE = "kubernetes:core/v1:Service"
SECRET = "kubernetes:core/v1:Secret"
GENERATED = "pulumi-python:dynamic:GeneratedSecret"
PATHS = "checksum/paths"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"

every_pair = pytest.mark.parametrize(("region", "build_region"), [*CROSSING, *WITHIN])


def in_pods(region: str = "cn-north-1", build_region: str = "us-west-2") -> Recorded:
    return stack(region, build_region, "in-cluster")


def config_map() -> Registered:
    return in_pods().only("kubernetes:core/v1:ConfigMap")


def deployment() -> Registered:
    return in_pods().only(DEPLOYMENT)


@pytest.mark.parametrize(
    ("region", "transport", "in_cluster"),
    [
        ("cn-north-1", None, True),
        ("cn-northwest-1", None, True),
        ("us-west-2", None, False),
        ("us-gov-west-1", None, False),
        ("cn-north-1", "api-gateway", False),
        ("us-west-2", "in-cluster", True),
    ],
)
def test_where_an_api_needs_a_filing_pods_answer_unless_a_transport_is_set(
    region: str, transport: str | None, in_cluster: bool
) -> None:
    mirror = {"transport": transport} if transport else {}
    settings = from_mapping({"region": region, "imageMirror": mirror})
    assert MirrorMode(settings.image_mirror, Region.of(region)).in_cluster is in_cluster


@every_pair
def test_nothing_of_the_other_transport_is_there(region: str, build_region: str) -> None:
    recorded = in_pods(region, build_region)
    assert recorded.none("aws:apigatewayv2/api:Api")
    functions = {r.name for r in recorded.of("aws:lambda/function:Function")}
    assert functions == {"image-mirror-functions-copier"}


@every_pair
def test_the_api_server_reaches_the_service_and_trusts_its_authority(
    region: str, build_region: str
) -> None:
    recorded = in_pods(region, build_region)
    (webhook,) = recorded.only(WEBHOOK).inputs["webhooks"]
    client = webhook["clientConfig"]
    service = recorded.only(SERVICE).inputs
    named = service["metadata"]
    assert client["service"] == {
        "namespace": named["namespace"],
        "name": named["name"],
        "path": paths(recorded)[0],
        "port": service["spec"]["ports"][0]["port"],
    }
    certificate = recorded.only(CERTIFICATE)
    assert base64.b64decode(client["caBundle"]).decode() == certificate.outputs["authority"]
    assert f"{named['name']}.{named['namespace']}.svc" in certificate.inputs["hosts"]


def paths(recorded: Recorded) -> list[str]:
    """What the pods answer."""
    data = recorded.only(SECRET, "image-mirror-pods-secret-image-mirror-paths").inputs["data"]
    return base64.b64decode(data["paths"]).decode().split()


def admitted(recorded: Recorded) -> str:
    """What the API server names."""
    (webhook,) = recorded.only(WEBHOOK).inputs["webhooks"]
    return webhook["clientConfig"]["service"]["path"]


def test_a_service_takes_the_path() -> None:
    """Kubernetes v1.36 staging/src/k8s.io/apiserver/pkg/util/webhook/validation.go."""
    assert re.fullmatch(r"/admit/[a-z0-9]+", admitted(in_pods()))


def test_the_path_is_secret_wherever_it_is() -> None:
    recorded = in_pods()
    (path,) = paths(recorded)
    secret = path.removeprefix("/admit/")
    assert len(secret) == 40
    for each in recorded.all:
        if each.type != GENERATED:
            assert secret not in json.dumps(each.visible, default=str), each.name
            assert b64(secret) not in json.dumps(each.visible, default=str), each.name


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def test_after_a_rotation_pods_know_both_paths_before_the_api_server_names_the_new_one() -> None:
    first = in_pods()
    second, third = (
        stack("cn-north-1", "us-west-2", "in-cluster", pathRotation=number) for number in (2, 3)
    )
    assert paths(first) == [admitted(first)]
    assert paths(second) == [admitted(second), admitted(first)]
    assert paths(third) == [admitted(third), admitted(second)]
    versions = {
        each.only(DEPLOYMENT).inputs["spec"]["template"]["metadata"]["annotations"][PATHS]
        for each in (first, second, third)
    }
    assert len(versions) == 3
    waits = second.dependencies_of(second.only(WEBHOOK))
    assert (DEPLOYMENT, "image-mirror-pods-deployment-image-mirror") in waits


def test_the_server_reads_the_paths_that_the_pods_mount(tmp_path: Path) -> None:
    spec = deployment().inputs["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["paths"]["secret"]["secretName"] == "image-mirror-paths"
    (container,) = spec["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert f"{mounts['paths']}/paths" == PATHS_FILE
    file = tmp_path / "paths"
    file.write_text("\n".join(paths(in_pods())), "utf-8")
    known = SecretPaths(file)
    assert known.admit(admitted(in_pods()).encode())
    assert not known.admit(b"/admit")


def test_the_service_selects_the_pods_on_the_port_they_serve() -> None:
    service = in_pods().only(SERVICE).inputs["spec"]
    template = deployment().inputs["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    assert service["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert container["ports"][0]["containerPort"] == 8443  # webhook.server's default


def test_one_pod_can_be_lost() -> None:
    assert deployment().inputs["spec"]["replicas"] == 2
    budget = in_pods().only("kubernetes:policy/v1:PodDisruptionBudget").inputs["spec"]
    assert budget["minAvailable"] == 1


def test_the_pods_mount_the_code_and_the_certificate_that_were_made_for_them() -> None:
    volumes = {v["name"]: v for v in deployment().inputs["spec"]["template"]["spec"]["volumes"]}
    code, secret = config_map().inputs["metadata"]["name"], "image-mirror-certificate"
    assert volumes["code"]["configMap"]["name"] == code
    assert volumes["certificate"]["secret"]["secretName"] == secret
    waiting = {name for _, name in in_pods().dependencies_of(deployment())}
    assert {f"image-mirror-pods-configmap-{code}", f"image-mirror-pods-secret-{secret}"} <= waiting


def test_the_code_runs_from_the_archive_that_the_pods_mount(tmp_path: Path) -> None:
    (content,) = config_map().inputs["binaryData"].values()
    archive = tmp_path / "webhook.zip"
    archive.write_bytes(base64.b64decode(content))
    (container,) = deployment().inputs["spec"]["template"]["spec"]["containers"]
    path = next(each["value"] for each in container["env"] if each["name"] == "PYTHONPATH")
    assert path.split(":")[0] == f"{container['volumeMounts'][0]['mountPath']}/{archive.name}"
    done = subprocess.run(
        [sys.executable, *container["command"][1:]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # It starts, and misses what only a cluster gives it.
    assert done.returncode == 2
    assert "cannot start" in done.stderr


def test_the_archive_names_the_images_of_the_platform() -> None:
    mounted = in_pods().only("kubernetes:core/v1:ConfigMap").inputs["binaryData"]["webhook.zip"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(mounted))) as archive:
        inventory = json.loads(archive.read("webhook/inventory.json"))
    assert inventory == {str(parse(image)): DIGESTS.get(image) for image in IMAGES}


def test_equal_code_has_an_equal_name_and_fits_a_config_map() -> None:
    assert code_config_map(NAMESPACE) == code_config_map(NAMESPACE)
    assert len(code_config_map(NAMESPACE)["binaryData"]["webhook.zip"]) < 900_000


@every_pair
def test_the_pods_know_registry_table_and_copier(region: str, build_region: str) -> None:
    recorded = in_pods(region, build_region)
    (container,) = recorded.only(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["AWS_REGION"] == region
    assert variables["MIRROR_REGISTRY"] == recorded.exports["registry"]
    table = recorded.only("aws:dynamodb/table:Table").inputs["name"]
    copier = recorded.only("aws:lambda/function:Function").inputs["name"]
    assert (variables["MIRROR_TABLE"], variables["MIRROR_COPIER"]) == (table, copier)
    assert container["image"].startswith(f"{recorded.exports['registry']}/public.ecr.aws/")
    assert (variables["MIRROR_WHEN_ABSENT"], variables["MIRROR_RULES"]) == ("rewrite", "[]")
    assert Environment.read(variables).registry == recorded.exports["registry"]


def test_the_handler_reads_the_rules_that_the_settings_write() -> None:
    mirror = from_mapping(
        {
            "region": "cn-north-1",
            "imageMirror": {
                "rules": [
                    {"action": "keep", "registries": ["quay.io"], "namespaces": ["team-*"]},
                    {"action": "mirror", "registries": ["nvcr.io"], "whenAbsent": "deny"},
                    {"action": "deny"},
                ]
            },
        }
    ).image_mirror
    assert read(mirror.rules_json()) == (
        Rule(action=Action.KEEP, registries=("quay.io",), namespaces=("team-*",)),
        Rule(action=Action.MIRROR, registries=("nvcr.io",), when_absent=WhenAbsent.DENY),
        Rule(action=Action.DENY),
    )


@every_pair
def test_the_pods_may_look_claim_and_hand_on_and_nothing_else(
    region: str, build_region: str
) -> None:
    recorded = in_pods(region, build_region)
    policy = json.loads(
        recorded.only("aws:iam/rolePolicy:RolePolicy", "image-mirror-pods-role").inputs["policy"]
    )
    granted = {action: s["Resource"] for s in policy["Statement"] for action in s["Action"]}
    assert set(granted) == {
        "ecr:DescribeImages",
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
        "lambda:InvokeFunction",
    }
    own = Region.of(region).arn("dynamodb", "table/kubeflow-image-copies", account=ACCOUNT)
    assert granted["dynamodb:UpdateItem"] == own
    trust = recorded.only("aws:iam/role:Role", "image-mirror-pods-role").inputs["assumeRolePolicy"]
    assert "system:serviceaccount:image-mirror:image-mirror" in trust


def test_only_where_the_control_plane_is_may_call() -> None:
    (rule,) = in_pods().only(POLICY).inputs["spec"]["ingress"]
    assert [each["ipBlock"]["cidr"] for each in rule["from"]] == list(CONTROL_PLANE)
    assert rule["ports"] == [{"port": "https"}]


def test_pods_wait_for_nodes_and_images_and_the_api_server_for_the_pods() -> None:
    recorded = in_pods()
    namespace = recorded.dependencies_of(recorded.only("kubernetes:core/v1:Namespace"))
    assert {NODES, COPIES} <= namespace
    asked = recorded.dependencies_of(recorded.only(WEBHOOK))
    assert (DEPLOYMENT, "image-mirror-pods-deployment-image-mirror") in asked


def test_the_keys_of_the_certificate_are_secrets() -> None:
    certificate = in_pods().only(SECRET, "image-mirror-pods-secret-image-mirror-certificate")
    assert set(certificate.visible["data"].values()) == {MASKED}
