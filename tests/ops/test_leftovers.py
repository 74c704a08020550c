"""./kf leftovers against moto: what a destroy leaves, who made it and which setting keeps it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from moto import mock_aws
from moto.core.resource_tagging import TaggedResource

from ops import leftover_search
from ops.leftover_search import Leftover, Status
from ops.leftovers import report
from ops.rights import rights_table
from settings import from_mapping
from settings.aws_session import aws_session
from tests.ops import account, api_of_lists, aws_command, tagging
from tests.ops.account import KEYS
from tests.ops.api_of_lists import ApiOfLists
from tests.ops.command import kf
from tests.ops.leftover_things import Maker, client_of

ROOT = Path(__file__).resolve().parents[2]
TABLE = yaml.safe_load((ROOT / "ops/leftovers.yaml").read_text())
BEIJING, OREGON = "cn-north-1", "us-west-2"
Row = dict[str, str]
Deleted = list[TaggedResource]
of_a_file = aws_session


class Session:
    """The session of a region, with clients that exist already."""

    def __init__(self, _credentials: Any, region: str, *_: Any) -> None:
        self._region = region

    def client(self, service: str, **_: Any) -> Any:
        return client_of(service, self._region)


@pytest.fixture(autouse=True)
def deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deleted]:
    """An empty account with two profiles; what the tagging API returns although it is gone."""
    account.with_two_profiles(tmp_path, monkeypatch)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.setattr("ops.aws_lookups.account.aws_session", Session)
    with mock_aws(config={"core": {"mock_credentials": False}}):
        yield tagging.as_aws(monkeypatch)


def listed(stack: str, code: int, message: str = "") -> list[Row]:
    """The rows of a run that ends with a code."""
    done = kf("leftovers", "--stack", stack, "--format", "json")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    assert message in done.stderr
    return json.loads(done.stdout)


def of(rows: list[Row], status: str) -> list[Row]:
    return [row for row in rows if row["status"] == status]


def with_settings(monkeypatch: pytest.MonkeyPatch, **sections: Any) -> None:
    settings = from_mapping({"region": OREGON, **sections})
    monkeypatch.setattr("ops.targets.settings_of", Mock(return_value=settings))


# -- AWS ------------------------------------------------------------------------------------------

OF_THE_PROGRAM = {
    *("API of API Gateway", "CodeBuild project", "Elastic IP", "Lambda function", "NAT gateway"),
    *("OIDC provider", "VPC", "VPC endpoint", "database", "instance profile", "internet gateway"),
    *("parameter group", "policy", "queue", "role", "route table", "rule of EventBridge"),
    *("security group", "subnet", "subnet group", "table", "user"),
}


def test_everything_that_no_setting_keeps_is_listed_and_its_command_deletes_it() -> None:
    """In China, where a second account copies images; the strangers' things stay."""
    beijing, singapore = Maker(BEIJING, BEIJING), Maker("ap-southeast-1", BEIJING)
    beijing.strangers()
    # The stack of another account that has the same names, and the same account for its copies.
    singapore.project("kubeflow-999988887777-cn-north-1")
    # The one shared row; nothing else of another stack, another cluster or nobody.
    (shared,) = listed(BEIJING, 0)
    assert (shared["status"], shared["what"], shared["id"]) == (
        "shared",
        "2 repositories",
        "kubeflow/*",
    )
    beijing.platform()
    beijing.others()
    singapore.project()
    rows = listed(BEIJING, 1, "If `pulumi destroy` ended early, run it again first.")
    forgotten = of(rows, "forgotten")
    whats = Counter(row["what"] for row in forgotten)
    assert whats == {
        **dict.fromkeys(OF_THE_PROGRAM, 1),
        "security group": 3,
        "log group": 5,
        "volume of the claim team-a/data": 2,
        **dict.fromkeys(["machine", "launch template", "network interface", "repository"], 1),
        **dict.fromkeys(["load balancer", "Classic Load Balancer", "target group"], 1),
    }
    assert [row for row in rows if row["status"] not in ("forgotten", "shared", "kept")] == []
    places = {row["where"] for row in forgotten}
    assert places == {"123456789012 cn-north-1", "123456789012 ap-southeast-1"}
    for row in forgotten:
        build = "--profile kubeflow-build --region ap-southeast-1"
        region = build if row["where"].endswith("ap-southeast-1") else "--region cn-north-1"
        assert row["command"].startswith(f"aws {region} ")
        assert "hidden" not in row["command"]
        aws_command.run(row["command"])
    # The command for the database takes a last snapshot, which a setting keeps.
    rows = listed(BEIJING, 0)
    assert {(row["status"], row["what"]) for row in rows} == {
        ("kept", "snapshot of the database"),
        ("shared", "2 repositories"),
    }


def test_copies_that_another_stack_may_pull_are_shared_whoever_made_them() -> None:
    """What users of both brought has the mark of its maker alone."""
    beijing = Maker(BEIJING, BEIJING)
    mark = {"Key": "kubeflow-cluster/other", "Value": "used"}
    beijing.repository("kubeflow/docker.io/library/python", mark, *beijing.pairs())
    beijing.repository("kubeflow/quay.io/team/notebook", *beijing.pairs())
    (shared,) = listed(BEIJING, 0)
    assert (shared["status"], shared["what"]) == ("shared", "2 repositories")


ROLE = "arn:aws:iam::123456789012:role/deployer"


def test_of_an_assumed_role_no_command_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs it has the credentials of the caller, perhaps in another account."""
    with_settings(monkeypatch, **{"aws:": {"assumeRole": {"roleArn": ROLE}}})
    Maker(OREGON, OREGON).logs("/aws/eks/kubeflow/cluster")
    (row,) = listed(OREGON, 1)
    assert (row["command"], row["why"]) == ("", f"no setting keeps it; delete it as {ROLE}")


def test_what_a_destroy_leaves_by_design_is_kept_by_a_setting_or_ends_by_itself() -> None:
    Maker(BEIJING, BEIJING).kept()
    rows = listed(BEIJING, 0, "cn-north-1: 6 kept.\n")
    whys = {(row["what"], row["why"].split(" until ")[0]) for row in rows}
    assert whys == {
        ("bucket", "kubeflow:artifacts.retainOnDelete is true"),
        ("key", "kubeflow:artifacts.retainOnDelete is true"),
        ("key", "AWS deletes it: the deletion window of 30 days,"),
        ("secret", "AWS deletes it: the recovery window of 7 days"),
        ("snapshot of the database", "kubeflow:database.skipFinalSnapshot is false"),
        ("automated backups of the database", "kubeflow:database.backupDays is 7"),
    }
    assert {row["status"] for row in rows} == {"kept"}
    assert {row["command"] for row in rows} == {""}


def test_what_the_settings_do_not_keep_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    Maker(OREGON, OREGON).kept()
    with_settings(monkeypatch, artifacts={"retainOnDelete": False})
    (bucket,) = of(listed(OREGON, 1), "forgotten")
    assert bucket["id"] == "kubeflow-123456789012-us-west-2"
    assert bucket["command"].endswith(
        f"; aws --region us-west-2 s3api delete-bucket --bucket {bucket['id']}"
    )
    without = {"skipFinalSnapshot": True, "deletionProtection": False}
    with_settings(monkeypatch, artifacts={"retainOnDelete": False}, database=without)
    assert {row["what"] for row in of(listed(OREGON, 1), "forgotten")} == {
        "bucket",
        "key",
        "snapshot of the database",
    }
    # The key also decrypts the last snapshot.
    with_settings(monkeypatch, artifacts={"retainOnDelete": False, "bucket": "another"})
    rows = {row["what"]: row["why"] for row in of(listed(OREGON, 1), "kept")}
    assert rows["snapshot of the database"] == "kubeflow:database.skipFinalSnapshot is false"
    keys = [row["why"] for row in of(listed(OREGON, 1), "kept") if row["what"] == "key"]
    assert "kubeflow:database.skipFinalSnapshot is false" in keys


def test_shared_files_are_kept_with_their_key_unless_a_setting_gives_them_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maker = Maker(OREGON, OREGON)
    maker.kept()
    of_backend = "kubeflow:artifacts.retainOnDelete is true"
    rows = [row for row in listed(OREGON, 0) if row["why"] == of_backend and row["what"] == "key"]
    (key,) = [f"arn:aws:kms:{OREGON}:123456789012:key/{row['id']}" for row in rows]
    id_ = maker.files(KmsKeyId=key)

    def about(what: str, **files: Any) -> set[tuple[str, str]]:
        keeps_nothing = {"skipFinalSnapshot": True, "deletionProtection": False}
        artifacts = {"retainOnDelete": False}
        settings = {"artifacts": artifacts, "database": keeps_nothing, "sharedFiles": files}
        with_settings(monkeypatch, **settings)
        named = [row for row in listed(OREGON, 1) if row["what"] == what]
        return {(row["status"], row["why"].split(" until ")[0]) for row in named}

    kept = {("kept", "kubeflow:sharedFiles.retainOnDelete is true")}
    assert about("file system", enabled=True) == kept
    assert about("file system") == kept
    # Also of a stack that has switched its files off: without the key they are lost.
    held = ("kept", f"it encrypts the file system {id_}")
    assert held in about("key", enabled=True)
    assert held in about("key", retainOnDelete=False)
    used = about("file system", enabled=True, fileSystemId=id_)
    assert used == {("kept", f"kubeflow:sharedFiles.fileSystemId is {json.dumps(id_)}")}
    assert about("file system", retainOnDelete=False) == {("forgotten", "no setting keeps it")}
    (row,) = [row for row in listed(OREGON, 1) if row["what"] == "file system"]
    aws_command.run(row["command"])
    assert about("file system") == set()
    maker.files(KmsKeyId=f"{key[:-1]}x")  # of another key
    assert ("forgotten", "no setting keeps it") in about("key")


def test_what_the_next_life_names_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    Maker(OREGON, OREGON).kept()
    keeps_nothing = {"skipFinalSnapshot": True, "deletionProtection": False}
    rows = listed(OREGON, 0)
    (snapshot,) = [row["id"] for row in rows if row["what"] == "snapshot of the database"]
    (key,) = [row["id"] for row in rows if "retainOnDelete" in row["why"] and row["what"] == "key"]
    arn = f"arn:aws:kms:{OREGON}:123456789012:key/{key}"
    named = {"retainOnDelete": False, "existing": True, "kmsKeyArn": arn}
    with_settings(monkeypatch, artifacts=named, database={**keeps_nothing, "snapshot": snapshot})
    whys = {row["what"]: row["why"] for row in of(listed(OREGON, 0), "kept")}
    assert whys["bucket"] == "kubeflow:artifacts.existing is true"
    assert whys["snapshot of the database"] == f'kubeflow:database.snapshot is "{snapshot}"'
    assert f'kubeflow:artifacts.kmsKeyArn is "{arn}"' in {
        row["why"] for row in of(listed(OREGON, 0), "kept")
    }


def test_what_was_deleted_is_not_listed(deleted: Deleted) -> None:
    """The tagging API returns it for some time; the check of every kind finds that it is gone."""
    oregon = Maker(OREGON, OREGON)
    tags = {**oregon.tags, "Name": "kubeflow-backend"}
    for kind in TABLE["kinds"]:
        service, _, type_ = kind.partition(":")
        resource = "/".join(filter(None, (type_, ID_OF.get(service, {}).get(type_, "gone"))))
        if service in ("rds", "logs", "secretsmanager", "autoscaling"):
            resource = resource.replace("/", ":", 1)
        deleted.append(
            TaggedResource(f"arn:aws:{service}:{OREGON}:123456789012:{resource}", tags, service)
        )
    oregon.ec2("run_instances", "instance", ImageId="ami-1", MinCount=1, MaxCount=1)
    machine = oregon.client("ec2").describe_instances()["Reservations"][0]["Instances"][0]
    oregon.client("ec2").terminate_instances(InstanceIds=[machine["InstanceId"]])
    # A name that begins alike is another one.
    oregon.logs("gone-too")
    assert listed(OREGON, 0, "us-west-2: nothing is left.") == []


ID_OF = {
    "ec2": {
        "instance": "i-0123456789abcdef0",
        "volume": "vol-0123456789abcdef0",
        "vpc": "vpc-0123456789abcdef0",
    },
    "autoscaling": {"autoScalingGroup": "1-2:autoScalingGroupName/gone"},
}


def test_a_type_without_a_row_is_listed_too(deleted: Deleted) -> None:
    arn = f"arn:aws:quantum:{OREGON}:123456789012:entangler/it"
    deleted.append(TaggedResource(arn, Maker(OREGON, OREGON).tags, "quantum"))
    (row,) = listed(OREGON, 1)
    assert (row["what"], row["id"], row["command"]) == ("quantum", "it", "")
    assert row["why"] == "no setting keeps it; delete it in the console of quantum"


def test_as_long_as_the_cluster_exists_everything_is_in_use() -> None:
    oregon = Maker(OREGON, OREGON)
    oregon.kept()
    oregon.others()
    oregon.client("eks").create_cluster(
        name="kubeflow",
        roleArn="arn:aws:iam::123456789012:role/it",
        resourcesVpcConfig={"subnetIds": ["subnet-1"]},
        tags=oregon.tags,
    )
    rows = listed(OREGON, 3, "The cluster kubeflow exists, so its things are in use.")
    assert {row["status"] for row in rows} == {"in use", "not checked"}
    assert {row["command"] for row in rows} == {""}
    whys = {row["what"]: row["why"] for row in rows}
    assert whys["log group"] == "the cluster exists"
    kept = "because kubeflow:artifacts.retainOnDelete is true"
    assert whys["bucket"] == f"the cluster exists; `pulumi destroy` keeps it, {kept}"
    (unread,) = of(rows, "not checked")
    assert unread["where"] == "cluster kubeflow"
    assert "there is no usable kubeconfig" in unread["why"]


# -- What cannot be searched ----------------------------------------------------------------------


def refusing(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    """Sessions that AWS refuses some operations."""
    made = account.session(answers)

    class Refusing(Session):
        def client(self, service: str, **_: Any) -> Any:
            if not any(each.startswith(f"{service}.") for each in answers):
                return client_of(service, self._region)
            return made.client(service, region_name=self._region)

    monkeypatch.setattr("ops.aws_lookups.account.aws_session", Refusing)


def test_a_refused_call_is_named_and_the_list_is_incomplete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oregon = Maker(OREGON, OREGON)
    refusing(
        monkeypatch,
        {"rds.DescribeDBSnapshots": "AccessDenied", "ecr.DescribeRepositories": "AccessDenied"},
    )
    rows = listed(OREGON, 3, "us-west-2: 2 not checked. The list is incomplete.")
    assert [row["why"].split(":")[1] for row in rows] == [
        "DescribeRepositories is missing (AccessDenied)",
        "DescribeDBSnapshots is missing (AccessDenied)",
    ]
    # What a refused check cannot confirm is listed with what is known of it.
    oregon.logs("/aws/eks/kubeflow/cluster")
    oregon.bucket()
    refusing(monkeypatch, {"s3.HeadBucket": "AccessDenied"})
    rows = listed(OREGON, 1, "1 forgotten, 1 kept and 1 not checked. The list is incomplete.")
    assert of(rows, "kept")[0]["what"] == "bucket"


def test_an_answer_of_another_form_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    Maker(OREGON, OREGON).logs("/aws/eks/kubeflow/cluster")
    refusing(monkeypatch, {"rds.DescribeDBSnapshots": {"DBSnapshots": [{}]}})
    rows = listed(OREGON, 1)
    assert of(rows, "forgotten")[0]["what"] == "log group"
    (unread,) = of(rows, "not checked")
    assert unread["why"].startswith("rds.describe_db_snapshots answers without 'DBSnapshotArn'")


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        # Without it, what a live stack uses would be called forgotten.
        ({"eks.DescribeCluster": "AccessDenied"}, "the right eks:DescribeCluster is missing"),
        ({"sts.GetCallerIdentity": "ExpiredToken"}, "the AWS credentials have ended"),
    ],
)
def test_without_the_first_answers_nothing_is_listed(
    answers: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, answers)
    done = kf("leftovers", "--stack", OREGON)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_credentials_of_another_account_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with_settings(monkeypatch, accountId="111122223333")
    done = kf("leftovers", "--stack", OREGON)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "are of account 123456789012 and kubeflow:accountId is 111122223333" in done.stderr


def test_an_absent_profile_of_the_build_account_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(f"[default]\n{KEYS}")
    monkeypatch.setattr("ops.aws_lookups.account.aws_session", of_a_file)
    (row,) = listed(BEIJING, 3)
    assert row["status"] == "not checked"
    assert row["why"].startswith(
        "the account that copies images was not searched: loading the AWS credentials fails "
        "(ProfileNotFound)"
    )


def test_copies_inside_the_partition_are_looked_for_in_their_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror = {"enabled": True, "buildRegion": "us-gov-east-1"}
    settings = from_mapping({"region": "us-gov-west-1", "imageMirror": mirror})
    monkeypatch.setattr("ops.targets.settings_of", Mock(return_value=settings))
    east = Maker("us-gov-east-1", "us-gov-west-1")
    east.identities()
    east.logs("/aws/codebuild/kubeflow-us-gov-west-1-image-copy")
    rows = of(listed("us-gov-west-1", 1), "forgotten")
    (log,) = [row for row in rows if row["what"] == "log group"]
    assert log["command"].startswith("aws --region us-gov-east-1 logs ")
    # IAM has no region: each identity once.
    assert len(rows) == 6


# -- The cluster ----------------------------------------------------------------------------------


def named(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": {**metadata, **more.pop("metadata", {})}, **more}


def objects() -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "kubeflow-profile"}
    of_crds = {"managedFields": [{"manager": "other"}, {"manager": "kubeflow-crds"}]}

    def volume(name: str, policy: str, phase: str, **claim: Any) -> dict[str, Any]:
        spec = {"persistentVolumeReclaimPolicy": policy, **claim}
        return named(name, spec=spec, status={"phase": phase})

    claim = {"claimRef": {"namespace": "team-a", "name": "data"}}
    return {
        "/api/v1/namespaces": [named("default"), named("team-a", metadata={"labels": labels})],
        "/api/v1/services": [
            named("gateway", "istio-system", spec={"type": "LoadBalancer"}),
            named("kubernetes", "default", spec={"type": "ClusterIP"}),
        ],
        "/api/v1/persistentvolumes": [
            volume("pvc-1", "Delete", "Bound", **claim),
            volume("pvc-2", "Retain", "Released", **claim),
            volume("pv-3", "Retain", "Available"),
        ],
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": [
            named("notebooks.kubeflow.org", metadata=of_crds),
            named("others.example.com", metadata={"managedFields": [{"manager": "helm"}]}),
        ],
    }


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiOfLists]:
    """The cluster of the stack, which answers."""
    with api_of_lists.serving(ApiOfLists(objects())) as served:
        monkeypatch.setenv("KUBECONFIG", str(api_of_lists.kubeconfig(tmp_path, served.url)))
        cluster = {"name": "kubeflow", "endpoint": f"{served.url.upper()}/"}
        refusing(monkeypatch, {"eks.DescribeCluster": {"cluster": cluster}})
        yield served


def test_what_a_destroy_leaves_in_the_cluster_is_listed(api: ApiOfLists) -> None:
    rows = listed(OREGON, 1)
    assert [(row["status"], row["what"], row["id"], row["command"]) for row in rows] == [
        (
            "forgotten",
            "namespace of a profile",
            "team-a",
            "kubectl delete namespace team-a",
        ),
        (
            "forgotten",
            "Service with a load balancer",
            "istio-system/gateway",
            "kubectl delete service -n istio-system gateway",
        ),
        (
            "forgotten",
            "volume of team-a/data, reclaim policy Delete",
            "pvc-1",
            "kubectl delete pvc -n team-a data && kubectl delete pv pvc-1",
        ),
        (
            "forgotten",
            "volume of team-a/data, reclaim policy Retain",
            "pvc-2",
            "kubectl delete pv pvc-2",
        ),
        (
            "forgotten",
            "volume of no claim, reclaim policy Retain",
            "pv-3",
            "kubectl delete pv pv-3",
        ),
        ("kept", "CustomResourceDefinitions", "1", ""),
    ]
    assert {row["where"] for row in rows} == {"cluster kubeflow"}
    # As long as the platform runs, its objects are in use.
    api.lists["/api/v1/namespaces"] = [named("kubeflow"), *objects()["/api/v1/namespaces"]]
    rows = listed(OREGON, 0)
    assert len(rows) == 6
    assert {row["status"] for row in rows} == {"in use"}


def test_another_cluster_of_the_kubeconfig_is_not_read(
    api: ApiOfLists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_of_lists.serving(ApiOfLists(objects())) as other:
        monkeypatch.setenv("KUBECONFIG", str(api_of_lists.kubeconfig(tmp_path, other.url)))
        (row,) = listed(OREGON, 3)
        assert other.asked == api.asked == []
        command = "aws --region us-west-2 eks update-kubeconfig --name kubeflow"
        assert row["why"] == f"the kubeconfig is of {other.url}: run `{command}`."


def test_a_cluster_that_refuses_is_named(api: ApiOfLists) -> None:
    api.refusals["/api/v1/services"] = 403
    row = listed(OREGON, 1)[-1]
    assert row["status"] == "not checked"
    assert "does not let you use /api/v1/services (403" in row["why"]


# -- The table, the formats -----------------------------------------------------------------------

FOUND = [
    Leftover(Status.FORGOTTEN, "volume", "vol-1", "1 r", "no setting keeps it", "aws x [y]"),
    Leftover(Status.NOT_CHECKED, "", "", "1 r", "the right a:B is missing"),
]


def test_each_format_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    report(FOUND, "text")
    assert capsys.readouterr().out.splitlines() == [
        "forgotten\tvolume\tvol-1\t1 r\tno setting keeps it\taws x [y]",
        "not checked\t\t\t1 r\tthe right a:B is missing\t",
    ]
    report(FOUND, "table")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "volume vol-1 1 r no setting keeps it: aws x [y]" in shown


def test_a_stack_that_does_not_exist_is_bad_input() -> None:
    done = kf("leftovers", "--stack", "absent")
    assert (done.exit_code, done.stdout) == (2, "")


PREFIX = {
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
}
RIGHT = {"s3:HeadBucket": "s3:ListBucket", "apigatewayv2:GetApi": "apigateway:GET"}


def calls(value: Any) -> Iterator[str]:
    """Every call in a part of the table."""
    if isinstance(value, dict):
        yield from [value["call"]] if "call" in value else []
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, (dict, list)):
            yield from calls(each)


def rights() -> set[str]:
    found: set[str] = set()
    for call in {*calls(TABLE), leftover_search.TAGGED["call"], "ecr.describe_repositories"}:
        service, operation = call.split(".")
        name = client_of(service, OREGON).meta.method_to_api_mapping[operation]
        found.add(RIGHT.get(f"{service}:{name}", f"{PREFIX.get(service, service)}:{name}"))
    return found


@pytest.mark.parametrize("page", ["company-account.md", "company-account.zh-CN.md"])
def test_the_page_names_each_right_that_a_deployer_lacks(page: str) -> None:
    (row,) = re.findall(r"^\| `\./kf leftovers` \|.*", (ROOT / "docs" / page).read_text(), re.M)
    documented = set(re.findall(r"`([a-z0-9-]+:\w+)`", row))
    of_types = {action for row in rights_table()["types"].values() for action in row}
    of_look_ups = {action for row in rights_table()["lookups"].values() for action in row}
    assert documented == rights() - of_types - of_look_ups
    assert all(re.search(":(Describe|Get|List|BatchGet|GET)", right) for right in rights())
