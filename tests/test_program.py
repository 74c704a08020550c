"""The whole program, as the engine would see it, for each of the four regions.

Runs ``__main__.py`` itself on the real sources of the default release and the stack files of this
repository; only AWS, Kubernetes and the engine are simulated.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import re
import runpy
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import botocore.session
import pytest
import yaml

from regions.region import Region
from rehearsal import protocol
from rehearsal.kubernetes_objects import pruned, stored
from rehearsal.sample_outputs.controllers import written_back
from rendering.leak_tables import CREDENTIALS
from tests.configuration_readers import READ_AGAIN, not_rolled
from tests.harness import MASKED, REGIONS, Recorded, Registered, run
from tests.pasted import paste

ROOT = Path(__file__).parents[1]
ACCOUNT = "111122223333"
CLUSTER = "eks:index:Cluster"
SECRET = "kubernetes:core/v1:Secret"
PROFILE = "kubernetes:kubeflow.org/v1:Profile"
DYNAMIC = "pulumi-python:dynamic"
BUILD = "aws-build"
MARKER = re.compile(r"<<[a-z][a-z0-9.-]*>>")
COMPONENTS = {"EksCluster", "KarpenterGpuPool", "KubeflowManifests", "KubeflowRdsS3Backend"}
MIRROR = "ImageMirrorWebhook"
WITHOUT_OPERATION = {
    *("iam:PassRole", "lambda:InvokeFunction", "sts:TagSession"),
    *("s3:GetObjectVersion", "s3:ListBucket", "s3:ListMultipartUploadParts"),
}
"""Actions that no operation of the API has as its name (AWS Service Authorization Reference)."""
CACHE_RULE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"


def stack(name: str, **changed: Mapping[str, Any]) -> Recorded:
    """The program on a stack file of this repository, with some sections replaced."""
    config: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())["config"]
    config |= {f"kubeflow:{section}": value for section, value in changed.items()}
    raw = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return run(program, raw["kubeflow:region"], raw)


@pytest.fixture(scope="module", params=REGIONS)
def made(request: pytest.FixtureRequest) -> Recorded:
    return stack(request.param)


@pytest.fixture
def region(made: Recorded) -> Region:
    return Region.of(made.only("pulumi:providers:aws", "aws").inputs["region"])


def top(recorded: Recorded) -> set[str]:
    """The classes of the components that stand directly in the program."""
    parents = (r for r in recorded.all if not r.parent and r.type.startswith("kubeflow:"))
    return {r.type.removeprefix("kubeflow:platform:") for r in parents}


def text(resource: Registered) -> str:
    """All inputs as text, the data of Kubernetes Secrets decoded."""
    inputs = json.dumps(resource.inputs, default=str)
    if resource.type != SECRET:
        return inputs
    data = cast("dict[str, str]", resource.inputs.get("data") or {})
    return inputs + " ".join(base64.b64decode(value).decode() for value in data.values())


def containing(recorded: Recorded, what: str | re.Pattern[str]) -> list[str]:
    """``type name: value`` of every resource of the stack's own region where it stands."""
    pattern = what if isinstance(what, re.Pattern) else re.compile(re.escape(what))
    return [
        f"{r.type} {r.name}: {found.group()}"
        for r in recorded.all
        if BUILD not in (r.provider_name, r.name)
        for found in [pattern.search(text(r))]
        if found
    ]


def not_as_stored(recorded: Recorded) -> list[str]:
    """Objects of which an API server or a controller keeps other values than were given."""
    found: list[str] = []
    for resource in recorded.all:
        if resource.package == "kubernetes" and "apiVersion" in resource.inputs:
            given = protocol.to_struct(resource.inputs)
            written = written_back(resource.inputs)
            live = protocol.to_struct(written[1]) if written else given
            if pruned(stored(resource.type, live), given) != given:
                found.append(f"{resource.type} {resource.name}")
    return found


def images_of_deployments(recorded: Recorded) -> list[str]:
    return [
        container["image"]
        for deployment in recorded.of("kubernetes:apps/v1:Deployment")
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]
    ]


# -- what there is --------------------------------------------------------------------------------


def test_the_platform_is_made_of_its_components(made: Recorded, region: Region) -> None:
    mirror = {MIRROR} if region.partition == "aws-cn" else set[str]()
    assert top(made) == COMPONENTS | mirror


def test_images_come_from_the_accounts_registry_only_where_others_are_out_of_reach(
    made: Recorded, region: Region
) -> None:
    own = f"{ACCOUNT}.dkr.ecr.{region.name}.{region.dns_suffix}/kubeflow/"
    images = images_of_deployments(made)
    mirrored = {image.startswith(own) for image in images}
    assert len(images) > 30
    assert mirrored == {region.partition == "aws-cn"}
    assert made.none(f"{DYNAMIC}:ImageRepositories") == (region.partition != "aws-cn")
    assert made.none(CACHE_RULE)


def test_the_release_is_there_and_its_crds_are_one_resource(made: Recorded) -> None:
    objects = [r for r in made.beneath("kubeflow") if r.package == "kubernetes"]
    assert len(objects) > 500
    crds = made.only(f"{DYNAMIC}:CustomResourceDefinitions", "kubeflow-crds")
    assert len(crds.inputs["digests"]) > 50
    assert made.none("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition")


@pytest.mark.parametrize("made", ["cn-north-1"], indirect=True)
@pytest.mark.parametrize("page", ["first-experiment.md", "first-experiment.zh-CN.md"])
def test_a_page_names_the_build_project_of_the_stack(made: Recorded, page: str) -> None:
    (project,) = made.of("aws:codebuild/project:Project")
    assert f"`{project.inputs['name']}`" in (ROOT / "docs" / page).read_text("utf-8")


def actions(recorded: Recorded) -> set[str]:
    """Every ``service:Action`` of the policies and trust policies that are given to AWS."""
    texts = [r.inputs.get(key) for r in recorded.all for key in ("policy", "assumeRolePolicy")]
    documents = [json.loads(text) for text in texts if isinstance(text, str) and "{" in text]
    named = [statement["Action"] for each in documents for statement in each["Statement"]]
    return {action for each in named for action in ([each] if isinstance(each, str) else each)}


WITHOUT_ENDPOINT = {
    "iam": "has none",
    "kms": "called by S3 and Secrets Manager for the pod (kms:ViaService)",
    "pricing": "has its API in other regions only",
}
"""Services that pods have rights to, and reach without an endpoint of their own."""
BY_AWS = {"AmazonEBSCSIDriverPolicy": ["ec2:CreateVolume"]}
"""Actions in AWS's own policies of pods."""


def services_of_pods(recorded: Recorded) -> set[str]:
    """The services of all actions in policies of roles that pods take."""
    taken = ("sts:AssumeRoleWithWebIdentity", "pods.eks.")
    names = {
        r.outputs["name"]
        for r in recorded.of("aws:iam/role:Role")
        if any(each in r.inputs["assumeRolePolicy"] for each in taken)
    }
    documents = {p.outputs["arn"]: p for p in recorded.of("aws:iam/policy:Policy")}
    named: set[str] = set()
    for kind in (
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    ):
        for right in recorded.of(kind):
            if right.inputs["role"] not in names:
                continue
            arn = right.inputs.get("policyArn", "")
            if arn and arn not in documents:
                named.update(BY_AWS[arn.rpartition("/")[2]])
                continue
            policy = (documents[arn] if arn else right).inputs["policy"]
            for statement in json.loads(policy)["Statement"]:
                action = statement["Action"]
                named.update([action] if isinstance(action, str) else action)
    return {action.partition(":")[0] for action in named}


def test_every_service_that_pods_call_has_an_endpoint_in_the_vpc(made: Recorded) -> None:
    called = services_of_pods(made)
    assert {"ec2", "eks", "s3", "secretsmanager", "sqs", "ssm"} <= called
    assert not made.of(f"{DYNAMIC}:MirroredImages") or {"dynamodb", "ecr", "lambda"} <= called
    prefix = re.compile(r"(?:cn\.)?com\.amazonaws\.[a-z0-9-]+\.([a-z0-9-]+)")
    endpoints = made.of("aws:ec2/vpcEndpoint:VpcEndpoint")
    found = [prefix.match(each.inputs["serviceName"]) for each in endpoints]
    reached = {match[1] for match in found if match}
    assert called - reached - WITHOUT_ENDPOINT.keys() == set()
    assert "sts" in reached


def test_every_role_of_machines_trusts_ec2_as_its_partition_spells_it(
    made: Recorded, region: Region
) -> None:
    taken = [
        statement["Principal"]["Service"]
        for role in made.of("aws:iam/role:Role")
        for statement in json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        if "ec2.amazonaws" in json.dumps(statement["Principal"])
    ]
    both = ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]
    expected = both if region.partition == "aws-cn" else "ec2.amazonaws.com"
    assert taken == [expected, expected]  # of the node group, and of Karpenter


@cache
def operations(service: str) -> tuple[str, ...]:
    model: Any = botocore.session.get_session().get_service_model(service)
    return tuple(model.operation_names)


def test_every_action_of_a_policy_exists(made: Recorded) -> None:
    named = actions(made)
    assert len(named) > 40
    split = [action.split(":") for action in named - WITHOUT_OPERATION]
    assert [pair for pair in split if not fnmatch.filter(operations(pair[0]), pair[1])] == []


def test_no_two_resources_are_called_the_same(made: Recorded) -> None:
    twice = [urn for urn, count in Counter(r.urn for r in made.all).items() if count > 1]
    assert twice == []


def test_the_gpu_pool_can_be_left_out() -> None:
    recorded = stack("us-west-2", gpuPool={"enabled": False})
    assert top(recorded) == COMPONENTS - {"KarpenterGpuPool"}
    assert containing(recorded, "karpenter.sh/v1") == []


def test_where_ecr_pulls_by_itself_a_mirror_is_rules_and_no_build() -> None:
    recorded = stack("us-west-2", imageMirror={"enabled": True})
    assert top(recorded) == COMPONENTS | {MIRROR}
    assert [r.name for r in recorded.all if BUILD in (r.provider_name, r.name)] == []
    for kind in (
        "aws:codebuild/project:Project",
        f"{DYNAMIC}:ImageRepositories",
        "aws:dynamodb/table:Table",
        f"{DYNAMIC}:MirroredImages",
    ):
        assert recorded.none(kind)
    host = recorded.exports["registry"].removesuffix("/kubeflow")
    rules = {
        f"{host}/{rule.inputs['ecrRepositoryPrefix']}/": rule.inputs["upstreamRegistryUrl"]
        for rule in recorded.of(CACHE_RULE)
    }
    assert len(rules) == 3
    images = images_of_deployments(recorded)
    moved = [image for image in images if image.startswith(f"{host}/")]
    assert len(moved) > 3
    assert [image for image in moved if not image.startswith(tuple(rules))] == []
    left = {image for image in images if image not in moved}
    assert left
    assert [i for i in left if i.startswith(tuple(f"{there}/" for there in rules.values()))] == []
    assert containing(recorded, MARKER) == []


def test_where_ecr_pulls_by_itself_every_node_may_make_it() -> None:
    recorded = stack("us-west-2", imageMirror={"enabled": True})
    own = f"repository/{recorded.exports['registry'].partition('/')[2]}/*"
    granted = {
        r.name: r.inputs["policy"]
        for r in recorded.of("aws:iam/rolePolicy:RolePolicy")
        if "ecr:BatchImportUpstreamImage" in r.inputs["policy"]
    }
    assert set(granted) == {"cluster-nodes-pull", "gpu-node-pull", "kubeflow-image-reader"}
    for policy in granted.values():
        statement = json.loads(policy)["Statement"][-1]
        assert "ecr:BatchImportUpstreamImage" in statement["Action"]
        assert statement["Resource"].endswith(own)
    nodes = recorded.only("aws:eks/nodeGroup:NodeGroup")
    assert "cluster-nodes-pull" in {name for _, name in recorded.dependencies_of(nodes)}
    namespace = recorded.only("kubernetes:core/v1:Namespace", "kubeflow")
    rules = {(CACHE_RULE, rule.name) for rule in recorded.of(CACHE_RULE)}
    assert rules <= recorded.dependencies_of(namespace)


# -- who makes it ---------------------------------------------------------------------------------


def test_every_resource_belongs_to_a_component(made: Recorded) -> None:
    orphans = {r.type.split(":")[0] for r in made.all if r.custom and not r.parent}
    # The providers themselves, and the release, which is refused before anything is made.
    assert orphans == {"pulumi", "pulumi-python"}
    assert [r.name for r in made.all if r.type == f"{DYNAMIC}:ReleaseAdvisories"] == ["release"]


def test_every_resource_has_an_explicit_provider(made: Recorded) -> None:
    used = {r.package: set[str]() for r in made.all if r.package in ("aws", "kubernetes")}
    for resource in made.all:
        used.get(resource.package, set()).add(resource.provider_name)
    assert used["aws"] <= {"aws", BUILD}
    assert used["kubernetes"] == {"cluster-kubernetes"}


def test_a_failed_workload_names_its_pods(made: Recorded) -> None:
    """Each that is waited for; GPU software waits for a GPU node (skipAwait)."""
    kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Release")
    awaited = [
        resource
        for resource in made.all
        if resource.package == "kubernetes" and resource.type.rsplit(":", 1)[-1] in kinds
        if "pulumi.com/skipAwait" not in text(resource)
    ]
    assert len({resource.type for resource in awaited}) == len(kinds)
    hooks = {resource.name: list(resource.request.hooks.on_error) for resource in awaited}
    assert {name: found for name, found in hooks.items() if found != ["unready-pods"]} == {}


def test_the_clusters_own_children_get_the_explicit_provider(made: Recorded) -> None:
    assert made.only(CLUSTER).provider_names == {"aws"}


def test_no_data_source_uses_a_default_provider(made: Recorded) -> None:
    assert made.asked
    assert {provider for _, provider in made.asked} <= {"aws", BUILD}


def test_another_provider_is_used_only_to_copy_images(made: Recorded, region: Region) -> None:
    abroad = {r.urn for r in made.all if r.provider_name == BUILD}
    assert abroad <= {r.urn for r in made.beneath("mirror")}
    assert bool(abroad) == (region.partition == "aws-cn")


# -- what stands in it ----------------------------------------------------------------------------


def test_arns_are_of_the_stacks_own_partition(made: Recorded, region: Region) -> None:
    foreign = re.compile(rf"\barn:(?!{region.partition}:)aws[a-z-]*:\S*")
    assert containing(made, foreign) == []


def test_only_china_has_chinese_hosts(made: Recorded, region: Region) -> None:
    assert bool(containing(made, ".com.cn")) == (region.partition == "aws-cn")


def test_every_object_is_given_as_an_api_server_stores_it(made: Recorded) -> None:
    assert not_as_stored(made) == []


def test_every_late_value_is_bound(made: Recorded) -> None:
    assert containing(made, MARKER) == []
    assert not MARKER.search(json.dumps(made.exports))


@pytest.mark.parametrize("published", CREDENTIALS)
def test_no_credential_that_upstream_publishes_is_left(made: Recorded, published: str) -> None:
    assert containing(made, published) == []


# -- secrets --------------------------------------------------------------------------------------


def test_no_generated_secret_can_be_read_anywhere(made: Recorded) -> None:
    drawn = [r.outputs["value"] for r in made.of(f"{DYNAMIC}:GeneratedSecret")]
    seen = json.dumps([r.visible for r in made.all])
    assert len(drawn) >= 4
    assert [value for value in drawn if value in seen] == []


def test_every_password_and_kubeconfig_is_a_secret(made: Recorded) -> None:
    held = [
        made.only("aws:rds/instance:Instance").visible["password"],
        made.only("pulumi:providers:kubernetes").visible["kubeconfig"],
        *(r.visible["kubeconfig"] for r in made.of(f"{DYNAMIC}:CustomResourceDefinitions")),
        *(r.visible["password"] for r in made.of(f"{DYNAMIC}:BcryptHash")),
        *(
            r.visible["secretString"]
            for r in made.of("aws:secretsmanager/secretVersion:SecretVersion")
        ),
        *(value for r in made.of(SECRET) for value in (r.visible.get("data") or {}).values()),
    ]
    assert len(held) > 12
    assert set(held) == {MASKED}


def test_no_kubernetes_secret_has_text_beside_its_data(made: Recorded) -> None:
    assert [r.name for r in made.of(SECRET) if "stringData" in r.inputs] == []


def test_no_secret_is_in_a_tag_or_a_name(made: Recorded) -> None:
    drawn = [r.outputs["value"] for r in made.of(f"{DYNAMIC}:GeneratedSecret")]
    shown = json.dumps([[r.name, r.inputs.get("tags"), r.inputs.get("name")] for r in made.all])
    assert [value for value in drawn if value in shown] == []


# -- how it hangs together ------------------------------------------------------------------------


def test_a_users_profile_is_removed_while_its_controller_can_still_do_so(made: Recorded) -> None:
    (profile,) = made.of(PROFILE)
    assert made.dependencies_of(profile) >= {
        (f"{DYNAMIC}:CustomResourceDefinitions", "kubeflow-crds"),
        ("kubernetes:apps/v1:Deployment", "kubeflow/profiles-deployment"),
        (
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
            "profiles-cluster-rolebinding",
        ),
    }


def test_the_claims_of_a_profile_are_deleted_while_the_driver_of_their_volumes_lives(
    made: Recorded,
) -> None:
    """A Profile's deletion waits for its namespace, whose owner it is (pulumi-kubernetes
    provider/pkg/metadata/overrides.go, DeletionPropagation: foreground), and the driver for all
    that depends on it."""
    by_name = {(each.type, each.name): each for each in made.all}
    later, waiting = set[tuple[str, str]](), made.of(PROFILE)
    while waiting:
        needed = made.dependencies_of(waiting.pop()) - later
        later |= needed
        waiting += [by_name[each] for each in needed]
    assert [name for kind, name in later if kind == "aws:eks/addon:Addon" and "storage" in name]


def test_dex_gets_a_hash_per_user(made: Recorded) -> None:
    config = made.only("kubernetes:core/v1:ConfigMap", "auth/dex").inputs["data"]["config.yaml"]
    (user,) = yaml.safe_load(config)["staticPasswords"]
    assert user["email"] == "user@example.com"
    assert set(made.only(SECRET, "auth/dex-passwords").inputs["data"]) == {user["hashFromEnv"]}


def checksums(recorded: Recorded) -> dict[str, str]:
    """Workload to the checksum of its configuration, as anybody may read it in a preview."""
    kinds = ("DaemonSet", "Deployment", "StatefulSet")
    templates = {
        r.name: r.visible["spec"]["template"]
        for kind in kinds
        for r in recorded.of(f"kubernetes:apps/v1:{kind}")
    }
    return {
        name: annotations["checksum/config"]
        for name, template in templates.items()
        for annotations in [template.get("metadata", {}).get("annotations", {})]
        if "checksum/config" in annotations
    }


def test_pods_start_anew_when_what_they_read_changes(made: Recorded, region: Region) -> None:
    assert {"auth/dex", "oauth2-proxy/oauth2-proxy", "kubeflow/ml-pipeline"} <= set(checksums(made))
    handlers = {line for line in READ_AGAIN if line.endswith(("-certificate", "-paths"))}
    assert not_rolled(made) == (handlers if region.partition == "aws-cn" else set())


def test_namespaces_wait_for_the_nodes(made: Recorded) -> None:
    waiting = made.dependencies_of(made.only("kubernetes:core/v1:Namespace", "kubeflow"))
    assert "aws:eks/nodeGroup:NodeGroup" in {kind for kind, _ in waiting}


def test_pods_wait_for_the_webhook_that_gives_them_reachable_images(
    made: Recorded, region: Region
) -> None:
    waiting = made.dependencies_of(made.only("kubernetes:core/v1:Namespace", "kubeflow"))
    mirror = [each for each in waiting if "MutatingWebhookConfiguration" in each[0]]
    assert bool(mirror) == (region.partition == "aws-cn")


def test_pods_wait_until_the_inventory_is_copied(made: Recorded, region: Region) -> None:
    copies = f"{DYNAMIC}:MirroredImages"
    if region.partition != "aws-cn":
        assert made.none(copies)
        return
    waiting = made.dependencies_of(made.only("kubernetes:core/v1:Namespace", "kubeflow"))
    assert (copies, "mirror-inventory") in waiting
    images = made.only(copies).inputs["images"]
    assert "docker.io/library/mysql:8.4.11" in images


def test_everything_reads_the_same_bucket(made: Recorded) -> None:
    config = made.only("kubernetes:core/v1:ConfigMap", "kubeflow/pipeline-install-config")
    assert config.inputs["data"]["bucketName"] == made.exports["bucket"]


def test_the_databases_host_goes_from_the_instance_to_every_pod_in_three_steps(
    made: Recorded,
) -> None:
    # The instance's address is `backend.database.host`; ...
    host = made.only("aws:rds/instance:Instance").outputs["address"]
    assert made.exports["databaseEndpoint"] == host
    # ... which is in a ConfigMap, as `<<database.host>>`, and in every secret of the database; ...
    config = made.only("kubernetes:core/v1:ConfigMap", "kubeflow/pipeline-install-config")
    keys = {key for key, value in config.inputs["data"].items() if value == host}
    assert keys == {"mysqlHost"}
    secrets = made.of("aws:secretsmanager/secretVersion:SecretVersion")
    texts = [json.loads(r.inputs["secretString"]) for r in secrets if "database" in r.name]
    assert [text["host"] for text in texts] == [host] * 5
    # ... which the pods' variables name; the metadata store reads a file of its secret instead.
    from_config = {("pipeline-install-config", key) for key in keys}
    from_secrets = {(f"{name}-database-1", "host") for name in ("katib", "ml-pipeline", "cache")}
    assert {
        (deployment, variable)
        for deployment, variable, source in variables_with_a_source(made)
        if source in from_config | from_secrets
    } == {
        ("kubeflow/katib-db-manager", "KATIB_MYSQL_DB_HOST"),
        ("kubeflow/ml-pipeline", "DBCONFIG_HOST"),
        ("kubeflow/ml-pipeline", "DBCONFIG_MYSQLCONFIG_HOST"),
    }


def variables_with_a_source(made: Recorded) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Deployment, variable, and the ConfigMap or Secret with the key that it comes from."""
    for deployment in made.of("kubernetes:apps/v1:Deployment"):
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env") or ():
                origin = variable.get("valueFrom") or {}
                source = origin.get("configMapKeyRef") or origin.get("secretKeyRef")
                if source:
                    yield deployment.name, variable["name"], (source["name"], source["key"])


# -- outputs --------------------------------------------------------------------------------------


def test_only_the_kubeconfig_is_a_secret_output(made: Recorded) -> None:
    assert made.secret_exports == {"kubeconfig"}
    assert json.loads(made.exports["kubeconfig"])["kind"] == "Config"


def test_the_outputs_are_those_of_the_documentation(made: Recorded, region: Region) -> None:
    assert {
        "cluster",
        "kubeconfig",
        "dashboard",
        "dashboardUrl",
        "login",
        "verify",
        "console",
        "bucket",
        "databaseEndpoint",
        "registry",
        "roleArns",
    } == set(made.exports)
    assert made.exports["cluster"] == "kubeflow"
    assert made.exports["bucket"].endswith(region.name)
    assert made.exports["databaseEndpoint"].endswith(f".{region.name}.rds.{region.dns_suffix}")
    assert made.exports["registry"] == f"{region.ecr_registry(ACCOUNT)}/kubeflow"


@pytest.mark.parametrize("made", ["cn-north-1"], indirect=True)
def test_every_output_that_a_page_reads_exists(made: Recorded) -> None:
    texts = [page.read_text("utf-8") for page in (*ROOT.glob("README*"), *ROOT.glob("docs/*.md"))]
    names = set(re.findall(r"pulumi stack output (\w+)", "\n".join(texts)))
    assert {"login"} <= names <= set(made.exports)


def test_every_output_pastes(made: Recorded, region: Region, tmp_path: Path) -> None:
    pasted = paste(made.exports, tmp_path)
    connect = ["aws", "eks", "update-kubeconfig", "--region", region.name, "--name", "kubeflow"]
    assert pasted["dashboard"][0] == pasted["verify"][0] == connect
    (login,) = pasted["login"]
    assert login[login.index("--region") + 1] == region.name
    assert login[login.index("--secret-id") + 1].startswith(f"arn:{region.partition}:")


def test_the_dashboards_address_is_where_its_command_listens(
    made: Recorded, tmp_path: Path
) -> None:
    _, forward = paste(made.exports, tmp_path)["dashboard"]
    port = forward[-1].partition(":")[0]
    assert made.exports["dashboardUrl"] == f"http://localhost:{port}"


def test_the_outputs_have_a_role_per_service_account_that_reads_artifacts(
    made: Recorded, region: Region
) -> None:
    roles = made.exports["roleArns"]
    assert {"ml-pipeline", "profile-default-editor"} <= set(roles)
    assert all(arn.startswith(f"arn:{region.partition}:iam::{ACCOUNT}:") for arn in roles.values())
