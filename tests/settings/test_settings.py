"""A stack file becomes checked settings, or one sentence per mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import yaml
from pulumi.runtime.config import set_all_config
from pydantic import ValidationError

from regions.region import Feature, Region, known_regions
from settings import (
    SECTIONS,
    Settings,
    SettingsError,
    from_mapping,
    from_stack_file,
    node_pools,
    release_files,
)
from settings import load as load_settings
from settings.checked_values import is_setting
from settings.errors import from_pydantic
from settings.mirror_mode import MirrorMode
from settings.node_pools import GpuPoolSettings, families_of
from settings.principals import is_listed
from settings.rules_access import problems_of_caller
from settings.section import Section
from tests.harness import REGIONS, stack_file

ROOT = Path(__file__).parents[2]
WRONG = cast(
    list[dict[str, Any]],
    yaml.safe_load((Path(__file__).parent / "wrong_stack_files.yaml").read_text("utf-8")),
)
SECRETS = ["hunter2", "AKIAIOSFODNN7EXAMPLE", "8f14e45fceea167a", "AAABANcVc3h6Zm9vYmFy"]


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two releases with their versions, as the table of wrong stack files expects."""
    monkeypatch.setattr(release_files, "MANIFESTS", tmp_path / "manifests")
    gone = '{"1.22": {rbac/v1beta1: [Role a, Role b]}, "1.25": {policy/v1beta1: [Budget c/d]}}'
    for name, kubernetes, unserved, pipelines, credentials in (
        ("26.03", '{min: "1.33", max: "1.36"}', "{}", "2.16.0", "[irsa, static-key]"),
        ("1.5.1", '{min: "1.19", max: "1.21"}', gone, "1.8.2", "[static-key]"),
    ):
        folder = tmp_path / "manifests" / name
        folder.mkdir(parents=True)
        (folder / "release.yaml").write_text(
            f"kubernetes: {kubernetes}\nunserved: {unserved}\n"
            f'pipelines: {{version: "{pipelines}", credentials: {credentials}}}\n'
            f"default: {str(name == '26.03').lower()}\n"
        )
    karpenter = tmp_path / "manifests" / "addons" / "karpenter-1.14.1"
    karpenter.mkdir(parents=True)
    (karpenter / "release.yaml").write_text("name: karpenter-1.14.1\n")
    return tmp_path / "manifests"


@pytest.fixture
def engine_config() -> Iterator[None]:
    yield
    set_all_config({}, [])


def problems_of(raw: Mapping[str, object], **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        from_mapping(raw, **more)
    return refusal.value.problems


def test_conditions_of_the_own_version_of_karpenter_can_be_confirmed(
    tmp_path: Path, manifests: Path
) -> None:
    stored = {"api": "karpenter.sh/v1", "resource": "nodeclaims", "kind": "NodeClaim"}
    condition = {"name": "machines", "what": "a", "why": "b", "way_out": "c", "objects": [stored]}
    ways = {"from": {"addons/karpenter-1.13.1": {"before": [condition]}}}
    own = manifests / "addons" / "karpenter-1.14.1" / "upgrade.yaml"
    own.write_text(yaml.safe_dump(ways))
    file = tmp_path / "Pulumi.own.yaml"
    file.write_text(stack_file("cn-north-1", "  kubeflow:upgradeConfirmed: [machines]\n"))
    assert from_stack_file(file, manifests=manifests).upgrade_confirmed == ["machines"]


@pytest.mark.parametrize("case", WRONG, ids=[case["name"] for case in WRONG])
def test_a_wrong_stack_file_gives_exactly_these_sentences(
    case: dict[str, Any], tmp_path: Path, manifests: Path
) -> None:
    file = tmp_path / "Pulumi.wrong.yaml"
    file.write_text(case["stack"], "utf-8")
    with pytest.raises(SettingsError) as refusal:
        from_stack_file(file, manifests=manifests)
    assert refusal.value.problems == case["problems"]


@pytest.mark.parametrize("case", WRONG, ids=[case["name"] for case in WRONG])
def test_every_sentence_is_one_line_ends_as_one_and_holds_no_secret(case: dict[str, Any]) -> None:
    for sentence in case["problems"]:
        assert "\n" not in sentence
        assert sentence.endswith((".", "?"))
        assert not [secret for secret in SECRETS if secret in sentence]


@pytest.mark.parametrize("stack", REGIONS)
def test_the_stacks_we_ship_are_right_and_the_short_ones_are_defaults(stack: str) -> None:
    settings = from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
    group = settings.node_group
    assert (settings.region, group.name, group.instance_type) == (stack, "kf", "m5.xlarge")
    assert (group.desired, group.min, group.max) == (4, 4, 8)
    own = {key: getattr(settings.cluster, key) for key in ("admins", "public_access_cidrs")}
    assert [len(each) for each in own.values()] == [1, 1]
    accepted = settings.accepted_advisories
    default = from_mapping({"region": stack, "acceptedAdvisories": accepted})
    default = default.model_copy(update={"cluster": default.cluster.model_copy(update=own)})
    assert stack == REGIONS[0] or settings == default


def test_the_beijing_example_names_every_setting() -> None:
    text = (ROOT / "Pulumi.cn-north-1.yaml").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        if name == "aws":  # no setting of the project
            continue
        assert f"kubeflow:{field.alias or name}:" in text
        inner: Any = getattr(field.annotation, "model_fields", {})
        assert not [f.alias for f in inner.values() if f"{f.alias}:" not in text]


def test_the_project_declares_and_describes_every_setting_with_its_default() -> None:
    project = cast(dict[str, Any], yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8")))
    declared = cast(dict[str, dict[str, Any]], project["config"])
    assert tuple(declared) == SECTIONS
    assert all(entry["type"] and entry["description"] for entry in declared.values())
    for name, field in Settings.model_fields.items():
        if name == "aws":  # no setting of the project
            continue
        inner: Any = getattr(field.annotation, "model_fields", {})
        description = declared[field.alias or name]["description"]
        assert not [f.alias for f in inner.values() if f.alias not in description]
    defaults = {name: entry["default"] for name, entry in declared.items() if "default" in entry}
    assert declared.keys() - defaults.keys() == {"region"}
    bare = {"region": "us-west-2"}
    assert from_mapping(bare | defaults) == from_mapping(bare)


@pytest.mark.parametrize(
    "region", [n for n in known_regions() if not Region.of(n).partition.startswith("aws-iso")]
)
def test_a_region_alone_is_a_stack(region: str) -> None:
    settings = from_mapping({"region": region})
    here = Region.of(region)
    mirror = MirrorMode(settings.image_mirror, here)
    assert mirror.enabled == (not here.has(Feature.INTERNET_REGISTRIES))
    assert mirror.build_region.has(Feature.INTERNET_REGISTRIES)
    assert families_of(settings.gpu_pool, here) == here.gpu_families


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ({}, True),
        ({"min": 2, "desired": 2}, True),
        ({"min": 1}, False),
        ({"highAvailability": False}, False),
        ({"highAvailability": True}, True),
    ],
)
def test_a_node_group_of_two_nodes_is_highly_available_unless_told_otherwise(
    group: dict[str, Any], expected: bool
) -> None:
    settings = from_mapping({"region": "cn-north-1", "nodeGroup": group})
    assert settings.node_group.highly_available is expected


def test_the_same_values_give_the_same_settings_and_are_left_alone() -> None:
    raw = {"region": "us-west-2", "nodeGroup": {"min": "5", "wrong": 1}, "users": [{"email": 1}]}
    before = json.dumps(raw)
    assert problems_of(raw) == problems_of(raw)
    assert json.dumps(raw) == before


@pytest.mark.parametrize(
    ("section", "key", "given", "attribute", "value"),
    [
        ("nodeGroup", "max", "9", "node_group.max", 9),
        ("database", "multiAz", "false", "database.multi_az", False),
        ("database", "rotation", "2", "database.rotation", 2),
        ("cluster", "version", 1.35, "cluster.version", "1.35"),
        ("database", "engineVersion", 8.4, "database.engine_version", "8.4"),
        ("imageMirror", "enabled", "true", "image_mirror.enabled", True),
    ],
)
def test_values_may_come_as_the_command_line_stores_them(
    section: str, key: str, given: object, attribute: str, value: object
) -> None:
    checked: Any = from_mapping({"region": "cn-north-1", section: {key: given}})
    for name in attribute.split("."):
        checked = getattr(checked, name)
    assert checked == value
    assert type(checked) is type(value)


def test_a_person_is_the_e_mail_address_that_dex_issues_in_lower_case() -> None:
    users = [{"email": "Zhang.Wei@Example.CN", "namespace": "zhang-wei"}]
    (user,) = from_mapping({"region": "cn-north-1", "users": users}).users
    assert user.email == "zhang.wei@example.cn"


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_section_is_its_default(empty: object) -> None:
    raw = {"region": "cn-north-1", "accountId": empty, "nodeGroup": empty}
    assert from_mapping(raw) == from_mapping({"region": "cn-north-1"})


def test_a_mistake_does_not_hide_the_others() -> None:
    raw = {"region": "moon", "database": {"storageGib": 600, "backupDays": 99}, "network": 1}
    keys = [problem.split(" is ")[0] for problem in problems_of(raw)]
    assert keys == [
        "kubeflow:region",
        "kubeflow:network",
        "kubeflow:database.backupDays",
        "kubeflow:database.maxStorageGib",
    ]


def test_a_mistake_is_reported_once() -> None:
    raw = {"region": "cn-north-1", "nodeGroup": {"min": "many", "desired": 2, "max": 3}}
    assert len(problems_of(raw)) == 1


@pytest.mark.parametrize(("newest", "right"), [("1.36", True), ("1.35", True), ("1.34", False)])
def test_karpenter_must_serve_the_kubernetes_version(
    newest: str, right: bool, tmp_path: Path
) -> None:
    for version, serves in (("9.9.9", newest), ("10.0.0", "1.40")):
        folder = tmp_path / "addons" / f"karpenter-{version}"
        folder.mkdir(parents=True)
        (folder / "release.yaml").write_text(f'kubernetes: {{max: "{serves}"}}\n')
    pool: dict[str, object] = {"karpenterVersion": "9.9.9"}
    raw: dict[str, object] = {"region": "cn-north-1", "cluster": {"version": "1.35"}}
    if right:
        assert from_mapping({**raw, "gpuPool": pool}, manifests=tmp_path)
    else:
        (problem,) = problems_of({**raw, "gpuPool": pool}, manifests=tmp_path)
        assert problem == (
            "kubeflow:gpuPool.karpenterVersion is 9.9.9: it supports Kubernetes up to 1.34, and "
            "kubeflow:cluster.version is 1.35: use a newer one."
        )
    without = {**raw, "gpuPool": {**pool, "enabled": False}}
    assert from_mapping(without, manifests=tmp_path)


def test_the_newest_karpenter_that_has_a_folder_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.9.0", "1.14.1", "1.14.10", "1.2.30"):
        folder = tmp_path / "addons" / f"karpenter-{version}"
        folder.mkdir(parents=True)
        (folder / "release.yaml").touch()
    monkeypatch.setattr(node_pools, "MANIFESTS", tmp_path)
    assert GpuPoolSettings().karpenter_version == "1.14.10"


def test_for_a_missing_stack_file_its_neighbours_are_named(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.cn-north-1.yaml").touch()
    with pytest.raises(SettingsError, match=r"Pulumi\.cn-north-1\.yaml"):
        from_stack_file(tmp_path / "Pulumi.cn-north1.yaml")


def test_other_packages_may_have_their_configuration(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(stack_file("us-west-2", "  kubernetes:namespace: ops\n"))
    assert from_stack_file(file).region == "us-west-2"


PROVIDER = {
    "aws:profile": "ops",
    "aws:assumeRoles": [{"roleArn": "arn:aws:iam::111122223333:role/up", "duration": "1h"}],
    "aws:defaultTags": {"tags": {"cost": "ml"}},
    "aws:allowedAccountIds": ["111122223333"],
    "aws:region": "us-west-2",
}


@pytest.mark.usefixtures("engine_config")
def test_the_keys_of_the_aws_provider_are_read_from_the_file_and_the_engine(
    tmp_path: Path,
) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    config = {**yaml.safe_load(stack_file("us-west-2"))["config"], **PROVIDER}
    file.write_text(yaml.safe_dump({"config": config}))
    settings = from_stack_file(file)
    role = {"roleArn": "arn:aws:iam::111122223333:role/up", "duration": "1h"}
    assert settings.aws.credentials() == {"profile": "ops", "assumeRoles": [role]}
    assert settings.own_tags == {"cost": "ml"}
    assert settings.refusal_of("111122223333") == ""
    assert settings.refusal_of("444455556666").startswith("aws:allowedAccountIds is ")
    set_all_config({k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()})
    assert load_settings() == settings


@pytest.mark.usefixtures("engine_config")
def test_a_key_that_is_encrypted_has_another_place() -> None:
    set_all_config({"kubeflow:region": "us-west-2", "aws:secretKey": "hunter2"}, ["aws:secretKey"])
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    (problem,) = refusal.value.problems
    assert problem.startswith("aws:secretKey is not a setting: remove the line")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "access",
    [
        {"publicAccessCidrs": ["203.0.113.0/24"]},
        {"apiAccess": {"cidrs": ["10.0.0.0/8"]}},
        {"apiAccess": {"securityGroups": ["sg-0123456789abcdef0"]}},
    ],
)
def test_one_way_to_the_api_server_is_enough(access: dict[str, object], tmp_path: Path) -> None:
    admins = ["arn:aws:iam::111122223333:role/ops"]
    config = {"kubeflow:region": "us-west-2", "kubeflow:cluster": {"admins": admins, **access}}
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(yaml.safe_dump({"config": config}))
    assert from_stack_file(file).cluster.admins == admins


@pytest.mark.usefixtures("engine_config")
def test_the_engine_refuses_a_stack_that_nobody_reaches_as_the_file_does() -> None:
    set_all_config({"kubeflow:region": "us-west-2"})
    with pytest.raises(SettingsError, match=r"cluster\.publicAccessCidrs is"):
        load_settings()


ROLE, USER = "arn:aws:iam::111122223333:role/team/ops", "arn:aws:iam::111122223333:user/team/ann"


@pytest.mark.parametrize(
    ("caller", "listed"),
    [
        ("arn:aws:sts::111122223333:assumed-role/ops/session", True),
        (ROLE, True),
        (USER, True),
        ("arn:aws:sts::111122223333:assumed-role/op/session", False),
        ("arn:aws:sts::444455556666:assumed-role/ops/session", False),
        ("arn:aws-cn:sts::111122223333:assumed-role/ops/session", False),
        ("arn:aws:iam::111122223333:user/ann", False),
        ("arn:aws:iam::111122223333:user/ops", False),
        ("arn:aws:sts::111122223333:federated-user/ops", False),
        ("arn:aws:iam::111122223333:root", False),
    ],
)
def test_a_caller_is_an_administrator_by_its_role_or_as_a_user(caller: str, listed: bool) -> None:
    assert is_listed(caller, [ROLE, USER]) is listed


def test_whoever_would_fail_at_the_first_object_is_told_before() -> None:
    cluster = {"admins": [ROLE], "publicAccessCidrs": ["198.51.100.7/32", "8.8.8.8/32"]}
    settings = from_mapping({"region": "us-west-2", "cluster": cluster})
    assert problems_of_caller(settings, ROLE) == []
    other = "arn:aws:sts::444455556666:assumed-role/ci/run"
    admins, address = problems_of_caller(settings, other)
    assert admins.startswith(f"kubeflow:cluster.admins does not list {other}, which runs this")
    assert address.startswith("kubeflow:cluster.publicAccessCidrs[0] is 198.51.100.7/32: ")


@pytest.mark.usefixtures("engine_config")
def test_the_engine_and_the_file_give_the_same_settings() -> None:
    path = ROOT / "Pulumi.cn-north-1.yaml"
    config = cast(dict[str, Any], yaml.safe_load(path.read_text("utf-8")))["config"]
    as_sent = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    set_all_config(as_sent)
    assert load_settings() == from_stack_file(path)


@pytest.mark.usefixtures("engine_config")
def test_the_engine_refuses_what_a_file_refuses() -> None:
    set_all_config(
        {
            "kubeflow:region": "us-west-2",
            "kubeflow:release": "26.03",
            "kubeflow:nodeGroup": "kf",
            "kubeflow:nodes": "4",
            "kubeflow:database": "hunter2",
            "aws:region": "us-west-2",
        },
        ["kubeflow:database"],
    )
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert [problem.split(" ")[0] for problem in refusal.value.problems] == [
        "kubeflow:database",
        "kubeflow:nodeGroup",
        "kubeflow:nodes",
    ]
    assert "hunter2" not in str(refusal.value)


def test_more_rules_than_an_environment_can_hold_are_refused_with_their_length() -> None:
    rules = [{"action": "keep", "registries": [f"registry-{n}.example.cn"]} for n in range(60)]
    (problem,) = problems_of({"region": "cn-north-1", "imageMirror": {"rules": rules}})
    assert problem.startswith("kubeflow:imageMirror.rules is ")
    assert "room for 2000" in problem


@pytest.mark.parametrize("value", [7, "monthly", True, "60"])
def test_a_choice_of_numbers_is_refused_with_the_numbers(value: object) -> None:
    class Monitoring(Section):
        interval: Literal[0, 30, 60] = 0

    with pytest.raises(ValidationError) as raised:
        Monitoring.model_validate({"interval": value})
    (error,) = raised.value.errors()
    assert re.search(
        r"interval is .+: (use 0, 30 or 60|did you mean 60\?)", from_pydantic(dict(error), [])
    )


def test_a_rule_reads_settings_that_exist() -> None:
    """One that reads another name runs although its own setting is refused already."""
    modules = [path.stem for path in (ROOT / "settings").glob("rules_*.py")]
    read = {
        key
        for name in modules
        for keys, _ in import_module(f"settings.{name}").RULES._rules
        for key in keys
    }
    assert len(read) > 20
    assert [key for key in sorted(read) if not is_setting(Settings, tuple(key.split(".")))] == []
