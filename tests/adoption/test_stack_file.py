"""Settings from the facts of an old platform are what the new stack takes, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from adoption import import_file, stack_file
from adoption.old_platform import FactsInvalid, read
from settings import MANIFESTS, from_mapping
from settings.sections import DatabaseSettings
from tests.adoption.old_facts import COPY, KEPT, KEY, NAME, copy, item, profile, snapshot, write
from tests.ops.command import kf
from tests.upgrades.test_tables import crds
from toolchain import tools


def adopted(folder: Path, *snapshots: dict[str, Any], items: Any = None) -> stack_file.Adoption:
    return stack_file.adopt(read(write(folder, *snapshots, items=items)))


def test_the_stack_file_is_what_the_settings_read(tmp_path: Path) -> None:
    made = adopted(tmp_path, snapshot(NAME), copy())
    file = tmp_path / "Pulumi.new.yaml"
    file.write_text(stack_file.text(made, ["cluster.json"]))
    assert yaml.safe_load(file.read_text()) == {"config": made.values}
    for key in ("cluster.admins", "cluster.publicAccessCidrs", "cluster.name"):
        assert key in file.read_text().partition("config:")[0]
    values = {key.removeprefix("kubeflow:"): value for key, value in made.values.items()}
    settings = from_mapping(values)
    assert settings.region == "cn-north-1"
    assert settings.database.snapshot == COPY
    assert (settings.database.engine_version, settings.database.storage_gib) == ("8.0", 100)
    assert settings.artifacts.kms_key_arn == KEY
    assert (settings.artifacts.bucket, settings.artifacts.existing) == ("old-artifacts", True)
    alice, bob = settings.users
    assert (alice.email, alice.namespace, alice.contributors) == (
        "alice@x.org",
        "team-a",
        ["bob@x.org"],
    )
    assert alice.quota is not None
    assert (alice.quota.cpus, alice.quota.memory_gib, alice.quota.pods) == (2, 8, None)
    assert (bob.email, bob.namespace, bob.quota) == ("bob@x.org", "team-b", None)


def test_pulumi_reads_a_name_of_digits_as_a_name(tmp_path: Path) -> None:
    """Its reader is that of YAML 1.2, to which they are numbers where PyYAML sees none."""
    names = ("012345678909", "1e3", "0o17", "y")
    profiles = [profile(name, f"{number}@x.org") for number, name in enumerate(names)]
    bucket = item("ConfigMap", "pipeline-install-config", "kubeflow", data={"bucketName": names[0]})
    made = adopted(tmp_path, snapshot(NAME), copy(), items=[*profiles, bucket])
    (tmp_path / "Pulumi.yaml").write_text("name: names\nruntime: python\n", "utf-8")
    (tmp_path / "Pulumi.new.yaml").write_text(stack_file.text(made, ["cluster.json"]), "utf-8")
    (tmp_path / "state").mkdir()
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def pulumi(*arguments: str) -> str:
        command = [tools.pulumi(print).path, "--non-interactive", *arguments]
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
        return run.stdout

    pulumi("stack", "init", "new")
    read_ = json.loads(pulumi("config", "--json", "--stack=new"))
    assert read_["kubeflow:artifacts"]["objectValue"]["bucket"] == names[0]
    users = read_["kubeflow:users"]["objectValue"]
    assert {user["namespace"] for user in users} == set(names)


def test_everything_of_the_old_platform_is_in_the_list(tmp_path: Path) -> None:
    made = adopted(tmp_path, copy(), snapshot(NAME))
    told = {(each.kind, each.name): each for each in made.moved}
    assert {key: each.moves for key, each in told.items()} == {
        ("DBSnapshot", COPY): "data",
        ("Pipeline", "without a namespace"): "hand",
        ("Run", "archived"): "hand",
        ("Event", "of ML Metadata, twice"): "no",
        ("Bucket", "old-artifacts"): "data",
        ("Profile", "team-a"): "settings",
        ("Profile", "team-b"): "settings",
        ("Profile", "team-b-two"): "hand",
        ("Profile", "kubeflow"): "hand",
        ("Profile", "robots"): "hand",
        ("Notebook", "n1"): "hand",
        ("Gadget", "g1"): "hand",
        ("Secret", "mlpipeline-minio-artifact"): "no",
    }
    assert "stranger@x.org has no profile" in told["Profile", "team-a"].what
    assert "plugin AwsIamForServiceAccount" in told["Profile", "team-b"].what
    assert "the platform itself uses it" in told["Profile", "kubeflow"].what
    assert "read its YAML" in told["Gadget", "g1"].what


def test_models_of_both_groups_are_in_the_list(tmp_path: Path) -> None:
    """1.5.1 has InferenceServices of KServe and of KFServing, which may have one name."""
    both = [
        {**item("InferenceService", "m", "team-a"), "apiVersion": f"{group}/v1beta1"}
        for group in ("serving.kserve.io", "serving.kubeflow.org")
    ]
    made = adopted(tmp_path, copy(), items=[profile("team-a", "a@x.org"), *both, *both])
    assert [each.name for each in made.moved if each.kind == "InferenceService"] == ["m", "m"]


@pytest.mark.parametrize("page", ["from-awslabs.md", "from-awslabs.zh-CN.md"])
def test_the_page_asks_for_every_type_of_which_something_is_known(page: str) -> None:
    text = (MANIFESTS.parent / "docs" / page).read_text("utf-8")
    (pattern,) = re.findall(r"grep -E '([^']+)'", text)
    kinds = {
        crd["spec"]["names"]["kind"]: crd["metadata"]["name"]
        for crd in crds("1.5.1-aws-b1.0.0").values()
        if re.search(pattern, crd["metadata"]["name"]) and crd["spec"]["scope"] == "Namespaced"
    }
    assert {"Notebook", "InferenceService", "Tensorboard", "TFJob", "Trial"} <= kinds.keys()
    # What 1.7 has besides: KServe 0.10 and Training Operator 1.6.
    assert {*kinds, "InferenceGraph", "ServingRuntime", "PaddleJob"} <= stack_file.KINDS.keys()
    assert re.search(pattern, "profiles.kubeflow.org")


def test_a_bucket_of_a_refused_name_is_copied_by_hand(tmp_path: Path) -> None:
    bucket = item("ConfigMap", "pipeline-install-config", "kubeflow", data={"bucketName": "a.b.c"})
    made = adopted(tmp_path, copy(), items=[profile("team-a", "a@x.org"), bucket])
    assert made.values["kubeflow:artifacts"] == {"kmsKeyArn": KEY}
    assert "is used as it is" not in stack_file.text(made, ["cluster.json"])
    (told,) = [each for each in made.moved if each.kind == "Bucket"]
    assert (told.name, told.moves) == ("a.b.c", "hand")
    assert "dots break TLS host names" in told.what
    assert told.what.endswith("the stack makes another; copy the files (`aws s3 sync`)")
    assert "kubeflow:users" in made.values


@pytest.mark.parametrize("name", ["x" * 64, "x: y", "-bad"])
def test_a_refused_bucket_has_the_reason_without_a_key_in_no_file(
    tmp_path: Path, name: str
) -> None:
    bucket = item("ConfigMap", "pipeline-install-config", "kubeflow", data={"bucketName": name})
    made = adopted(tmp_path, copy(), items=[bucket])
    (told,) = [each for each in made.moved if each.kind == "Bucket"]
    assert told.what.startswith("bucket names have 3 to 63")


def test_a_profile_that_is_refused_has_the_reason_without_a_place_in_no_file(
    tmp_path: Path,
) -> None:
    made = adopted(tmp_path, copy(), items=[profile("kube-system", "a@x.org")])
    (told,) = [each for each in made.moved if each.kind == "Profile"]
    assert told.what.startswith("namespace is kube-system: the platform itself uses it")


def test_a_larger_snapshot_and_a_quota_in_other_words(tmp_path: Path) -> None:
    hard = {
        "requests.cpu": "4",
        "cpu": "9",
        "requests.memory": "1500M",
        "requests.nvidia.com/gpu": "2",
        "requests.storage": "1Ti",
        "count/pods": "1k",
        "services": "3",
        "memory": "many",
    }
    items = [profile("team-a", "a@x.org", resourceQuotaSpec={"hard": hard})]
    made = adopted(tmp_path, copy(AllocatedStorage=400), items=items)
    assert made.values["kubeflow:database"]["storageGib"] == 400
    usual = copy(AllocatedStorage=DatabaseSettings().storage_gib)
    assert "storageGib" not in adopted(tmp_path, usual).values["kubeflow:database"]
    (user,) = made.values["kubeflow:users"]
    quota = {"cpus": 4, "memoryGib": 2, "gpus": 2, "storageGib": 1024, "pods": 1000}
    assert user["quota"] == quota
    assert made.values["kubeflow:artifacts"] == {"kmsKeyArn": KEY}
    told = next(each for each in made.moved if each.kind == "Profile")
    for name in ("cpu", "services", "memory"):
        assert f"no setting for {name} of its quota" in told.what


@pytest.mark.parametrize(
    ("storage", "limit"),
    [(100, None), (454, None), (455, 910), (800, 1600), (40000, 65536), (59578, 65536), (65000, 0)],
)
def test_a_database_of_any_size_leaves_room_to_grow(
    tmp_path: Path, storage: int, limit: int | None
) -> None:
    """The default limit is refused for one of half a tebibyte, and RDS has no more than 64."""
    made = adopted(tmp_path, copy(AllocatedStorage=storage))
    assert made.values["kubeflow:database"].get("maxStorageGib") == limit
    from_mapping({key.removeprefix("kubeflow:"): value for key, value in made.values.items()})


@pytest.mark.parametrize("profiles", [[], [profile("robots", "robots", kind="Group")]])
def test_without_a_user_the_default_user_is_left(tmp_path: Path, profiles: Any) -> None:
    assert "kubeflow:users" not in adopted(tmp_path, copy(), items=profiles).values


def test_a_copy_counts_when_it_is_complete_and_until_somebody_takes_another(tmp_path: Path) -> None:
    nightly = snapshot("rds:kubeflow-db", SnapshotCreateTime="2026-11-30T03:00:00+00:00")
    made = adopted(tmp_path, nightly, copy(), snapshot(NAME))
    assert made.values["kubeflow:database"]["snapshot"] == COPY
    with pytest.raises(stack_file.NothingToRestore, match=" kubeflow-db-encrypted "):
        adopted(tmp_path, nightly)
    made = adopted(
        tmp_path, copy(), snapshot(NAME), copy(DBSnapshotIdentifier="b", Status="creating")
    )
    assert made.values["kubeflow:database"]["snapshot"] == COPY


@pytest.mark.parametrize(
    ("snapshots", "sentence"),
    [
        ([], "no file has a complete snapshot"),
        ([snapshot(NAME)], f"the snapshot {NAME} is not encrypted.*copy-db-snapshot.*--kms-key-id"),
        # An encrypted copy of older data is not what somebody means who has just taken another.
        (
            [copy(), snapshot("later", SnapshotCreateTime="2026-11-30T08:00:00+00:00")],
            "the snapshot later is not encrypted",
        ),
        ([copy(EngineVersion="5.7.44")], "is of MySQL 5.7.44.*modify-db-snapshot"),
        (
            [copy(Engine="postgres", EngineVersion="8.4.1")],
            r"kubeflow-db-last-encrypted is of postgres.*RDS for MySQL \(mysqldump\)",
        ),
        # The copy is on its way: another one would be refused, for its name.
        (
            [snapshot(NAME), copy(Status="creating")],
            f"the snapshot {COPY} is creating: wait for it .*db-snapshot-identifier {COPY}",
        ),
        ([copy(Status="failed")], "no file has a complete snapshot"),
        ([snapshot(NAME, Status="creating")], "no file has a complete snapshot"),
        # Of a region that somebody else has asked, the newest data would be taken.
        (
            [copy(), copy(DBSnapshotArn=f"arn:aws:rds:us-west-2:111122223333:snapshot:{COPY}")],
            r"of 2 databases \(kubeflow-db in cn-north-1 of \d+, kubeflow-db in us-west-2 of ",
        ),
        (
            [copy(), copy(DBSnapshotArn=f"arn:aws-cn:rds:cn-north-1:444455556666:snapshot:{COPY}")],
            r"of 2 databases .*cn-north-1 of 444455556666\)",
        ),
        (
            [copy(), copy(DBInstanceIdentifier="shop")],
            r"of 2 databases \(kubeflow-db, shop\).*--db-instance-identifier",
        ),
    ],
)
def test_what_cannot_be_restored_is_refused(
    tmp_path: Path, snapshots: list[Any], sentence: str
) -> None:
    with pytest.raises(stack_file.NothingToRestore, match=sentence):
        adopted(tmp_path, *snapshots)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is no JSON"),
        ("[]", "is no answer of kubectl or RDS"),
        ("{}", "is no answer of kubectl or RDS"),
        ('{"DBSnapshot": null}', "a snapshot that RDS did not describe"),
        ('{"DBSnapshots": [{}]}', "a snapshot that RDS did not describe"),
        ('{"DBSnapshots": null}', "no list of snapshots"),
        ('{"kind": "List", "items": [{"metadata": {"name": "a\\ud800"}}]}', "is no JSON"),
        (
            json.dumps({"DBSnapshots": [copy(AllocatedStorage=float("inf"))]}),
            "a snapshot that RDS did not describe",
        ),
        (
            json.dumps({"DBSnapshots": [copy(DBSnapshotArn="last")]}),
            "a snapshot that RDS did not describe",
        ),
        ('{"kind": "List", "items": [{"kind": "Profile"}]}', "an object without a name"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "facts.json"
    file.write_text(content)
    with pytest.raises(FactsInvalid, match=rf"facts\.json {sentence}|facts\.json has {sentence}"):
        read([file])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 100_000,
        '{"resources": null}',
        '{"resources": [{"name": "a", "type": "aws:s3/bucket:Bucket", "parent": "a"}]}',
        '{"resources": [{"name": "a", "type": "aws:s3/bucket:Bucket", "parent": ["a"]}]}',
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(content)
    with pytest.raises(import_file.PlanInvalid, match="is no plan: write it by"):
        import_file.of_plan(plan, "old-artifacts")


def test_every_kind_has_its_way_and_one_sentence() -> None:
    assert {kind: set(row) for kind, row in stack_file.KINDS.items()} == {
        kind: {"moves", "what"} for kind in stack_file.KINDS
    }


def test_odd_parts_of_a_profile_are_left_out(tmp_path: Path) -> None:
    hard = {"cpu": "9" * 5000, "pods": "7"}
    odd = profile("team-a", "a@x.org", plugins=5, resourceQuotaSpec={"hard": hard})
    made = adopted(tmp_path, copy(), items=[odd])
    assert made.values["kubeflow:users"][0]["quota"] == {"pods": 7}
    assert "no setting for cpu of its quota" in made.moved[-1].what


def test_the_same_object_in_two_files_is_one(tmp_path: Path) -> None:
    files = write(tmp_path, copy())
    once, twice = stack_file.adopt(read(files)), stack_file.adopt(read([*files, files[0]]))
    assert once == twice


@pytest.mark.parametrize(
    ("config", "profiles", "absent"),
    [
        (True, True, []),
        (False, True, ["No file names the bucket"]),
        (True, False, ["No file has a profile"]),
        (False, False, ["No file has a profile", "No file names the bucket"]),
    ],
)
def test_a_file_that_was_forgotten_is_said(
    tmp_path: Path, config: bool, profiles: bool, absent: list[str]
) -> None:
    """The stack would begin with another bucket, or with the default user alone."""
    items = [profile("team-a", "alice@x.org")] if profiles else []
    data = {"data": {"bucketName": "old-artifacts"}}
    items += [item("ConfigMap", "pipeline-install-config", "kubeflow") | data] if config else []
    files = write(tmp_path, copy(), items=items)
    assert [each.partition(":")[0] for each in stack_file.absent(read(files))] == absent
    told = " ".join(kf("adopt", *(f"--from={file}" for file in files)).stderr.split())
    commands = {
        "No file names the bucket": "get configmap pipeline-install-config --output json",
        "No file has a profile": "get profiles.kubeflow.org",
    }
    for sentence, command in commands.items():
        assert (sentence in told) == (command in told) == (sentence in absent)


def test_one_snapshot_and_one_object_are_read_too(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_text(json.dumps({"DBSnapshot": copy()}))
    other.write_text(json.dumps(item("ConfigMap", "pipeline-install-config", "kubeflow")))
    old = read([one, other])
    assert ([each.name for each in old.snapshots], old.bucket) == ([COPY], "")


def test_the_command_lists_and_writes_once(tmp_path: Path) -> None:
    files = [f"--from={file}" for file in write(tmp_path, copy())]
    target = tmp_path / "Pulumi.new.yaml"
    made = kf("adopt", *files, f"--write={target}", "--format=json")
    assert made.exit_code == 0, made.output
    assert {each["moves"] for each in json.loads(made.stdout)} == {"settings", "data", "hand", "no"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert KEPT not in target.read_text() + made.output
    again = kf("adopt", *files, f"--write={target}")
    assert (again.exit_code, "exists: name another file" in again.output) == (2, True)
    alone = kf("adopt", *files, "--plan=plan.json")
    assert (alone.exit_code, "belong together" in alone.output) == (2, True)
