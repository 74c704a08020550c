"""The parts of a stack around its components: settings, tags, providers, images, values."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

import program
from components.gpu.software import GPU_SOFTWARE
from components.mirror.accounts import build_side
from components.mirror.credentials import Purpose, user_name
from program import (
    Renders,
    advisories_of,
    aws_provider,
    check_access,
    config_files,
    database_users,
    deploy_values,
    enabled_add_ons,
    optional_parts,
    render_stack,
    stack_settings,
    stack_tags,
    static_values,
)
from regions.region import Feature, Region
from rendering import ImageUse, Rendered
from rendering.leak_tables import MARKER
from rendering.objects import strings
from rendering.parts import Parts
from rendering.release import stand_alone
from settings import MANIFESTS, from_mapping
from settings.context import StackContext
from tests.components.backend.simulated_backend import ACCOUNT, PARTITIONS, component
from tests.harness import REGIONS, Recorded, Registered, run
from tests.releases import PIPELINES_2
from tests.rendering import beijing

PROVIDER = "pulumi:providers:aws"


def account(region: str = "cn-north-1", **sections: Any) -> Registered:
    settings = from_mapping({"region": region, **sections})
    tags = {"platform": "kubeflow"}
    return run(lambda: aws_provider(settings, tags).urn, region).only(PROVIDER)


def builder(region: str, **image_mirror: Any) -> Registered:
    settings = from_mapping({"region": region, "imageMirror": image_mirror})
    context = StackContext.of(settings, ACCOUNT, {})

    def program() -> None:
        assert build_side(context) is not None

    return run(program, region).only(PROVIDER)


STATIC_KEY: dict[str, Any] = {
    "release": "1.5.1-aws-b1.0.0",
    "cluster": {"version": "1.21"},
    "artifacts": {"credentials": "static-key"},
    "gpuPool": {"enabled": False},
}


def rendered(*sources: str) -> Rendered:
    uses = tuple(ImageUse(source, source, ()) for source in sources)
    return Rendered((), (), {}, uses, "")


def test_settings_come_from_the_stacks_configuration() -> None:
    cluster = {
        "name": "ml",
        "admins": ["arn:aws:iam::111122223333:role/ops"],
        "apiAccess": {"cidrs": ["10.0.0.0/8"]},
    }
    config = {"kubeflow:region": "us-west-2", "kubeflow:cluster": json.dumps(cluster)}
    recorded = run(lambda: {"settings": stack_settings().model_dump()}, config=config)
    assert recorded.exports["settings"]["region"] == "us-west-2"
    assert recorded.exports["settings"]["cluster"]["name"] == "ml"


@pytest.mark.parametrize("preview", [True, False])
def test_a_caller_who_is_no_administrator_may_preview_only(
    preview: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    settings = from_mapping({"region": "us-west-2"})
    caller = "arn:aws:iam::111122223333:user/ann"
    with nullcontext() if preview else pytest.raises(pulumi.RunError, match=f"list {caller}"):
        check_access(settings, caller)
    assert len(warnings) == preview


def test_wrong_settings_end_the_program_with_every_sentence_and_no_traceback() -> None:
    config = {
        "kubeflow:region": "cn-north-9",
        "kubeflow:nodeGroup": json.dumps({"min": 5, "max": 2, "desired": 5}),
    }
    with pytest.raises(pulumi.RunError) as refusal:
        run(stack_settings, config=config)
    first, second = str(refusal.value).splitlines()
    assert "cn-north-9" in first
    assert "kubeflow:nodeGroup" in second


def test_tags_name_project_stack_and_cluster_and_the_settings_own_win() -> None:
    settings = from_mapping({"region": "cn-north-1", "tags": {"team": "ml", "stack": "own"}})
    assert run(lambda: {"tags": stack_tags(settings)}).exports["tags"] == {
        "project": "kubeflow",
        "stack": "own",
        "cluster": "kubeflow",
        "team": "ml",
    }


@pytest.mark.parametrize("region", REGIONS)
def test_the_provider_is_of_the_stacks_region(region: str) -> None:
    inputs = account(region).inputs
    assert inputs["region"] == region
    assert json.loads(inputs["defaultTags"]) == {"tags": {"platform": "kubeflow"}}


def test_an_account_id_shuts_out_every_other_account() -> None:
    allowed = account(accountId="111122223333").inputs["allowedAccountIds"]
    assert json.loads(allowed) == ["111122223333"]
    assert "allowedAccountIds" not in account().inputs


ROLE = "arn:aws-cn:iam::111122223333:role/up"


def test_the_providers_have_the_profile_the_role_and_the_accounts_of_the_stack_file() -> None:
    role = {"roleArn": ROLE, "sessionName": "kubeflow", "duration": "1h"}
    given = {
        "profile": "ops",
        "assumeRole": role,
        "allowedAccountIds": ["111122223333"],
        "forbiddenAccountIds": ["444455556666"],
    }
    sections: dict[str, Any] = {"aws:": given}
    inputs = account("cn-north-1", **sections).inputs
    assert inputs["profile"] == "ops"
    assert json.loads(inputs["assumeRoles"]) == [role]
    assert json.loads(inputs["allowedAccountIds"]) == ["111122223333"]
    assert json.loads(inputs["forbiddenAccountIds"]) == ["444455556666"]
    settings = from_mapping({"region": "cn-north-1", "aws:": given})
    context = StackContext.of(settings, ACCOUNT, {})
    build = run(lambda: build_side(context) and None, "cn-north-1").only(PROVIDER).inputs
    assert build["profile"] == "kubeflow-build"
    assert "assumeRoles" not in build


def test_copies_in_the_same_partition_are_made_with_the_credentials_of_the_stack() -> None:
    mirror = {"enabled": True}
    given = {"profile": "ops"}
    settings = from_mapping({"region": "us-gov-west-1", "imageMirror": mirror, "aws:": given})
    context = StackContext.of(settings, ACCOUNT, {})
    build = run(lambda: build_side(context) and None, "us-gov-west-1").only(PROVIDER).inputs
    crosses = context.mirror.crosses_partitions
    assert build["profile"] == ("kubeflow-build" if crosses else "ops")


def test_default_tags_of_the_aws_provider_reach_every_resource() -> None:
    given = {"defaultTags": {"tags": {"cost": "ml"}}}
    settings = from_mapping({"region": "cn-north-1", "aws:": given})
    assert run(lambda: {"tags": stack_tags(settings)}).exports["tags"]["cost"] == "ml"


def test_endpoints_send_services_elsewhere() -> None:
    endpoints = account(endpoints={"s3": "http://127.0.0.1:5000"}).inputs["endpoints"]
    assert json.loads(endpoints) == [{"s3": "http://127.0.0.1:5000"}]
    assert "endpoints" not in account().inputs


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1"])
def test_images_are_built_outside_china_with_credentials_of_their_own(region: str) -> None:
    inputs = builder(region).inputs
    assert Region.of(inputs["region"]).partition == "aws"
    assert inputs["profile"] == "kubeflow-build"


def test_images_are_built_with_the_stacks_credentials_inside_its_partition() -> None:
    inputs = builder("us-gov-west-1", enabled=True, buildRegion="us-gov-east-1").inputs
    assert inputs["region"] == "us-gov-east-1"
    assert "profile" not in inputs


@pytest.mark.parametrize("region", REGIONS)
def test_nothing_is_built_where_ecr_pulls_by_itself(region: str) -> None:
    settings = from_mapping({"region": region, "imageMirror": {"enabled": True}})
    here = Region.of(region)

    def program() -> dict[str, Any]:
        side = build_side(StackContext.of(settings, ACCOUNT, {}))
        return {"region": side.region.name if side else None}

    recorded = run(program, region)
    caches = here.has(Feature.PULL_THROUGH_CACHE)
    assert recorded.exports["region"] == (None if caches else here.mirror_region)
    assert recorded.none(PROVIDER) is caches


@pytest.mark.parametrize("region", REGIONS)
def test_the_registry_is_the_accounts_in_the_region(region: str) -> None:
    settings = from_mapping({"region": region, "imageMirror": {"repositoryPrefix": "own"}})
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    prefix = StackContext.of(settings, ACCOUNT, {}).image_prefix
    assert prefix == f"111122223333.dkr.ecr.{region}.{suffix}/own"


@pytest.mark.parametrize(
    ("region", "cluster", "mirror", "prefix"),
    [
        ("cn-north-1", "dev", {}, "dev"),
        ("cn-north-1", "fifteen-letters", {}, "fifteen-letters"),
        ("cn-north-1", "dev", {"repositoryPrefix": "own"}, "own"),
        ("cn-north-1", "dev", {"sharedInventory": True}, "kubeflow"),
        ("cn-north-1", "dev", {"sharedInventory": True, "repositoryPrefix": "own"}, "own"),
        ("us-west-2", "fourteen-chars", {"enabled": True}, "fourteen-chars"),
        ("us-west-2", "fifteen-letters", {"enabled": True}, "fifteen-3a91e8"),
        ("us-west-2", "fiftee-letters-2", {"enabled": True}, "fiftee-3e2565"),
    ],
)
def test_copies_are_below_the_clusters_name_unless_the_stack_file_says_where(
    region: str, cluster: str, mirror: dict[str, Any], prefix: str
) -> None:
    sections = {"cluster": {"name": cluster}, "imageMirror": mirror}
    settings = from_mapping({"region": region, **sections})
    assert StackContext.of(settings, ACCOUNT, {}).repository_prefix == prefix


@pytest.mark.parametrize(
    ("cluster", "start"),
    [
        ("kubeflow", "kubeflow-111122223333-cn-northwest-1-start"),
        (
            "a-cluster-of-forty-characters-in-its-nam",
            "a-cluster-of-forty-characters-in-its-nam-1111222233-caf463-start",
        ),
    ],
)
def test_a_user_has_a_name_that_iam_takes(cluster: str, start: str) -> None:
    bucket = {"bucket": "short"}  # its default name would have the cluster's in it
    settings = from_mapping(
        {"region": "cn-northwest-1", "cluster": {"name": cluster}, "artifacts": bucket}
    )
    context = StackContext.of(settings, ACCOUNT, {})
    assert user_name(context, Purpose.PUSH) == f"{cluster}-cn-northwest-1-push"
    assert user_name(context, Purpose.START) == start
    assert len(start) <= 64


# -- what to copy ---------------------------------------------------------------------------------


RENDERS = Renders(
    kubeflow=rendered("quay.io/b:1", "a:1"),
    parts=Parts(),
    karpenter=rendered("public.ecr.aws/karpenter/controller:1"),
    image_mirror=None,
    package_defaults=None,
    add_ons={"gpu": {"plugin": rendered("nvcr.io/plugin:1", "a:1")}},
)


def test_every_image_of_the_release_and_the_add_ons_is_copied_once() -> None:
    assert list(RENDERS.inventory(None, None)) == [
        "a:1",
        "nvcr.io/plugin:1",
        "public.ecr.aws/karpenter/controller:1",
        "quay.io/b:1",
    ]


@pytest.mark.parametrize(("transport", "needed"), [("in-cluster", True), ("api-gateway", False)])
def test_the_handlers_pods_are_rendered_where_there_are_any(transport: str, needed: bool) -> None:
    settings = from_mapping({"region": "cn-north-1", "imageMirror": {"transport": transport}})
    renders = render_stack(settings, Region.of("cn-north-1"))
    assert (renders.image_mirror is not None) is needed


@pytest.mark.parametrize(
    ("region", "packages", "needed"),
    [
        ("cn-north-1", {}, True),
        ("us-west-2", {}, False),
        ("us-gov-west-1", {}, False),
        ("us-west-2", {"pypi": "https://pypi.corp.example/simple"}, True),
        (
            "cn-north-1",
            dict.fromkeys(("pypi", "conda", "huggingFace", "modelScope", "npm"), "none"),
            False,
        ),
    ],
)
def test_the_admission_of_package_sources_is_rendered_where_pods_get_any(
    region: str, packages: dict[str, str], needed: bool
) -> None:
    settings = from_mapping({"region": region, "packages": packages})
    assert (render_stack(settings, Region.of(region)).package_defaults is not None) is needed


@pytest.mark.parametrize(("group", "pods"), [({}, 2), ({"min": 1}, 1)])
def test_second_pods_are_rendered_where_there_are_nodes_for_them(
    group: dict[str, int], pods: int
) -> None:
    settings = from_mapping({"region": "cn-north-1", "nodeGroup": group})
    renders = render_stack(settings, Region.of("cn-north-1"))
    (webhook,) = [
        o
        for o in renders.kubeflow.objects
        if o["metadata"]["name"] == "cert-manager-webhook" and o["kind"] == "Deployment"
    ]
    assert webhook["spec"].get("replicas", 1) == pods


@pytest.mark.parametrize(
    ("pool", "add_ons"),
    [
        ({}, ["nvidia-device-plugin"]),
        ({"dcgmExporter": True}, ["dcgm-exporter", "nvidia-device-plugin"]),
        ({"enabled": False}, []),
    ],
)
def test_an_add_on_is_in_a_stack_whose_settings_enable_it(
    pool: dict[str, bool], add_ons: list[str]
) -> None:
    settings = from_mapping({"region": "cn-north-1", "gpuPool": pool})
    assert enabled_add_ons(settings).get("gpu", []) == add_ons
    renders = render_stack(settings, Region.of("cn-north-1"))
    assert sorted(renders.add_ons.get("gpu", {})) == add_ons
    assert (renders.karpenter is None) is (pool.get("enabled") is False)


@pytest.mark.parametrize("key", ["gpuPool.dcgmExport", "gpuPool.enabled.dcgmExport"])
def test_an_add_on_that_names_no_setting_is_one_sentence(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_ons = stand_alone(MANIFESTS)
    name = next(folder for folder, release in add_ons.items() if release.enabled_by)
    wrong = add_ons[name].model_copy(update={"enabled_by": (key,)})
    monkeypatch.setattr(program, "stand_alone", {MANIFESTS: {name: wrong}}.get)
    with pytest.raises(pulumi.RunError, match=rf"{name}/release.yaml.*dcgmExport is not a setting"):
        enabled_add_ons(from_mapping({"region": "cn-north-1"}))


@pytest.mark.parametrize(
    ("sections", "parts"),
    [
        ({}, []),
        ({"pipelines": {"v1": False}}, []),
        ({"pipelines": {"v1": True}}, ["pipelines-v1"]),
        ({"modelCatalog": {"enabled": True}}, ["model-catalog"]),
    ],
)
def test_a_part_of_the_release_is_in_a_stack_whose_settings_ask_for_it(
    sections: dict[str, Any], parts: list[str]
) -> None:
    given = {"region": "cn-north-1", "release": "26.03.1", **sections}
    assert optional_parts(from_mapping(given)) == parts


def test_the_catalog_gets_its_list_and_the_files_that_it_names() -> None:
    file = "examples/catalogs/team.yaml"
    sources = [{"id": "team", "file": file}]
    catalog = {"enabled": True, "sources": sources}
    settings = from_mapping({"region": "cn-north-1", "modelCatalog": catalog})
    values = static_values(StackContext.of(settings, "111122223333", {}), settings)
    (listed,) = yaml.safe_load(values["model-catalog.sources"])["model_catalogs"]
    files = config_files(settings)["kubeflow/model-catalog-sources"]
    text = (Path(__file__).parents[1] / file).read_text("utf-8")
    assert files == {listed["properties"]["yamlCatalogPath"]: text}


@pytest.mark.parametrize(
    ("sections", "more"),
    [
        ({"release": "26.03"}, {"cache"}),
        ({"release": "26.03.1"}, {"model-registry"}),
        ({"release": "26.03.1", "pipelines": {"v1": True}}, {"cache", "model-registry"}),
    ],
)
def test_the_database_has_users_of_the_components_that_the_stack_has(
    sections: dict[str, Any], more: set[str]
) -> None:
    made = database_users(from_mapping({"region": "cn-north-1", **sections}))
    assert made.keys() == {"ml-pipeline", "metadata", "katib"} | more


def test_a_hole_of_a_part_is_open_where_the_settings_ask_for_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = {"setting": "pipelines.v1", "because": "-", "objects": ["Deployment a/cache"]}
    hole = {
        **{"id": "CVE-2026-12345", "severity": "high", "images": ["a/cache"], "affected": ["<2"]},
        **{"what": "-", "here": "open", "why": "-", "way_out": "-", "source": "https://a.example"},
    }
    image = {
        **{"source": "ghcr.io/a/cache:1.0", "target": "ghcr.io/a/cache", "digest": None},
        **{"needed": "install", "where": ["Deployment a/cache#spec.image"]},
    }
    files = {
        "release.yaml": {"name": "26.03.1", "optional": {"pipelines-v1": part}},
        "advisories.yaml": {"read": date(2026, 11, 29), "advisories": [hole]},
        "images.lock": {"release": "26.03.1", "images": [image]},
    }
    folder = tmp_path / "26.03.1"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    monkeypatch.setattr(program, "MANIFESTS", tmp_path)
    for asked in (True, False):
        given = {"region": "cn-north-1", "release": "26.03.1", "pipelines": {"v1": asked}}
        assert bool(advisories_of(from_mapping(given)).still_open()) is asked


@pytest.mark.parametrize(
    ("release", "chosen", "closed"),
    [
        ("26.03", {"pipelines": "2.16.1"}, "GHSA-ghgh-57qv-h687"),
        ("26.03.1", {"istio": "1.30.7"}, "CVE-2026-48044"),
    ],
)
def test_a_version_by_the_setting_closes_what_it_mends_and_no_more(
    release: str, chosen: dict[str, str], closed: str
) -> None:
    given = {"region": "cn-north-1", "release": release}
    before = advisories_of(from_mapping(given))
    after = advisories_of(from_mapping({**given, "patches": chosen}))
    assert before.named(closed)
    assert after.named(closed) is None
    assert after.named("CVE-2026-77596") == before.named("CVE-2026-77596") is not None


def test_every_add_on_of_a_component_is_in_its_table() -> None:
    parts = {
        folder.removeprefix("addons/"): release.part_of
        for folder, release in stand_alone(MANIFESTS).items()
        if release.part_of
    }
    assert {name for name, part in parts.items() if part == "gpu"} == set(GPU_SOFTWARE)
    assert set(parts.values()) == {"gpu"}


def test_an_image_is_pulled_from_the_mirror_or_from_its_source() -> None:
    assert RENDERS.inventory("own/prefix", None)["a:1"] == "own/prefix/docker.io/library/a:1"
    assert RENDERS.inventory("own/prefix", None)["quay.io/b:1"] == "own/prefix/quay.io/b:1"
    assert {source == target for source, target in RENDERS.inventory(None, None).items()} == {True}


def test_only_what_a_cache_serves_is_pulled_from_the_registry_that_caches_fill() -> None:
    pulled = RENDERS.inventory("own/prefix", ["quay.io"])
    assert pulled["a:1"] == "a:1"
    assert pulled["quay.io/b:1"] == "own/prefix/quay.io/b:1"


# -- values at deploy time -------------------------------------------------------------------------

PRESENT = database_users(from_mapping({"region": "cn-north-1"}))
SECRETS = {*(f"secret.{component}" for component in PRESENT), "secret.database-master"}


def bound(region: str = "cn-north-1", **sections: Any) -> Recorded:
    """A run that exports every value for manifests, and the names of secret ones."""
    settings = from_mapping({"region": region, **sections})

    def program() -> None:
        backend = component(settings)
        for name, value in deploy_values(
            StackContext.of(settings, ACCOUNT, {}), settings, backend
        ).items():
            pulumi.export(name, value)

    return run(program, region)


@pytest.mark.parametrize("region", REGIONS)
def test_the_manifests_get_names_of_secrets_and_never_a_secret(region: str) -> None:
    recorded = bound(region)
    assert {name for name in recorded.exports if name.startswith("secret.")} == SECRETS
    assert recorded.secret_exports == set()
    names = [recorded.exports[name] for name in SECRETS]
    assert all(name.startswith("kubeflow/kubeflow/database") for name in names)
    assert not {"database.username", "database.password"} & set(recorded.exports)


@pytest.mark.parametrize("region", REGIONS)
def test_the_roles_that_read_secrets_are_of_the_stacks_partition(region: str) -> None:
    values = bound(region).exports
    for role in ("role.database-clients", "role.database-init"):
        assert values[role].startswith(f"arn:{PARTITIONS[region][0]}:iam::{ACCOUNT}:role/")


@pytest.mark.parametrize("region", REGIONS)
def test_the_accounts_registry_is_a_host_without_the_mirrors_prefix(region: str) -> None:
    host = f"{ACCOUNT}.dkr.ecr.{region}.{PARTITIONS[region][1]}"
    values = bound(region).exports
    assert (values["serving.node-registries"], values["image.prefix"]) == (host, f"{host}/kubeflow")


def test_a_static_key_is_named_like_the_other_secrets() -> None:
    values = bound(**STATIC_KEY).exports
    # Of release 1.5.1, which has no registry of models and the cache of Pipelines v1.
    of_release = SECRETS - {"secret.model-registry"} | {"secret.cache"}
    found = {name for name in values if name.startswith("secret.")}
    assert found == of_release | {"secret.artifacts"}


def test_the_values_of_the_database_include_its_rotation_and_root_certificates() -> None:
    values = bound(database={"rotation": 3}).exports
    assert (values["database.rotation"], values["database.port"]) == ("3", "3306")
    assert values["database.authorities"].startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(
    ("notebooks", "values"),
    [({}, ("false", "1440")), ({"idleMinutes": 480}, ("true", "480"))],
    ids=["off by default", "on"],
)
def test_idle_notebooks_are_stopped_where_a_setting_says_when(
    notebooks: dict[str, Any], values: tuple[str, str]
) -> None:
    exports = bound(notebooks=notebooks).exports
    assert (exports["notebooks.culling"], exports["notebooks.idle-minutes"]) == values


@pytest.mark.parametrize(
    "sections",
    [*({"release": name} for name in PIPELINES_2), STATIC_KEY],
    ids=[*PIPELINES_2, "1.5.1"],
)
def test_a_release_has_a_place_for_every_value_of_the_backend(sections: dict[str, Any]) -> None:
    texts = [
        text for obj in beijing.rendered(sections["release"]).objects for _, text in strings(obj)
    ]
    places = {marker.strip("<>") for text in texts for marker in MARKER.findall(text)}
    of_backend = {
        name
        for name in bound(**sections).exports
        if name.startswith(("bucket.", "database.", "secret.", "role."))
    }
    # The role of profiles is in the objects Profile.
    assert of_backend - {"role.profile-default-editor"} <= places
