"""What `./kf resume` decides about locks and pending operations, against moto's AWS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ops import aws_lookups, resume, targets
from ops.account_calls import CallFailed
from ops.aws_lookups.look_up import Thing
from ops.cli_errors import Refused
from ops.pending_operations import Decision, Deployment, Outcome, Settlement
from ops.pulumi_cli import CliFailed, PulumiCli
from ops.stack_locks import locks
from terminal.output import messages
from tests.harness import stack_file
from tests.ops.command import kf
from toolchain import tools
from toolchain.file_backend import Lock
from toolchain.tools import Tool

ACCOUNT = "123456789012"
REGION = "cn-north-1"
TAGS = {"project": "kubeflow", "stack": REGION, "cluster": "kubeflow"}
PROVIDER = f"urn:pulumi:{REGION}::kubeflow::pulumi:providers:aws::aws"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


def client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=REGION)


def pending(type_: str, inputs: dict[str, Any], kind: str = "creating", name: str = "it") -> Any:
    urn = f"urn:pulumi:{REGION}::kubeflow::{type_}::{name}"
    resource = {"urn": urn, "type": type_, "inputs": inputs, "custom": True}
    return {"type": kind, "resource": {**resource, "provider": f"{PROVIDER}::old-id"}}


def deployment(*operations: Any, resources: list[dict[str, Any]] | None = None) -> Deployment:
    provider = {"urn": PROVIDER, "id": "new-id", "type": "pulumi:providers:aws"}
    provider["inputs"] = {"region": REGION}  # pyright: ignore[reportArgumentType]
    state = {"resources": [provider, *(resources or [])], "pending_operations": [*operations]}
    return Deployment({"version": 3, "deployment": state})


def decided(*operations: Any, **options: Any) -> list[Decision]:
    state = deployment(*operations, **options)
    return Settlement(state, REGION, {}, set()).decisions()


def decision(*operations: Any, **options: Any) -> Decision:
    (only,) = decided(*operations, **options)
    return only


def described(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# -- Pending operations ---------------------------------------------------------------------------


ROLE = "aws:iam/role:Role"
QUEUE = "aws:sqs/queue:Queue"


def made_role(name: str, tags: dict[str, str]) -> None:
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}", Tags=described(tags))


def test_what_exists_is_taken_in_and_what_does_not_is_left_to_the_next_up() -> None:
    made_role("node-1", TAGS)
    exists = pending(ROLE, {"name": "node-1", "tags": TAGS}, name="node")
    absent = pending(ROLE, {"name": "node-2", "tags": TAGS}, name="other")
    taken, cleared = decided(exists, absent)
    assert (taken.outcome, taken.id) == (Outcome.TAKEN, "node-1")
    assert cleared.outcome is Outcome.CLEARED


@pytest.mark.parametrize(
    ("type_", "custom"), [("eks:index:Cluster", False), ("pulumi:providers:aws", True)]
)
def test_what_is_nothing_in_a_cloud_is_created_by_the_next_up(type_: str, custom: bool) -> None:
    operation = pending(type_, {})
    operation["resource"]["custom"] = custom
    assert decision(operation).outcome is Outcome.CLEARED


def planned(*operations: Any, **options: Any) -> list[Decision]:
    """The decisions on a plan; the provider of each resource may be in the state."""
    plan = [operation["resource"] for operation in operations]
    return Settlement(deployment(**options), REGION, {}, set(), plan).decisions()


def test_what_is_planned_and_exists_is_taken_in_after_a_provider_died_alone() -> None:
    made_role("node-1", TAGS)
    exists = pending(ROLE, {"name": "node-1", "tags": TAGS}, name="node")
    absent = pending(ROLE, {"name": "node-2", "tags": TAGS}, name="other")
    (taken,) = planned(exists, absent)
    assert (taken.outcome, taken.id, taken.operation.label) == (
        Outcome.TAKEN,
        "node-1",
        f"{ROLE} node",
    )


@pytest.mark.parametrize(
    "inputs",
    [
        {"name": "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "tags": TAGS},
        {"name": "[secret]", "tags": TAGS},
    ],
    ids=["unknown", "secret"],
)
def test_a_plan_without_the_name_is_looked_up_by_nothing(inputs: dict[str, Any]) -> None:
    for name in ("[secret]", "04da6b54-80e4-46f7-96ec-b56ff0331ba9"):
        client("sqs").create_queue(QueueName=name.strip("[]"), tags=TAGS)
    assert planned(pending(QUEUE, inputs)) == []


def test_a_secret_of_a_plan_is_no_input_of_the_resource_that_is_taken_in() -> None:
    made_role("node-1", TAGS)
    inputs = {"name": "node-1", "tags": TAGS, "description": ["[secret]"]}
    (taken,) = planned(pending(ROLE, inputs))
    assert set(taken.operation.inputs) == {"name", "tags"}


def test_what_outlives_a_stack_does_so_after_it_is_taken_in() -> None:
    """The plan has both words (pulumi/pulumi, pkg/backend/display/json.go)."""
    made_role("node-1", TAGS)
    operation = pending(ROLE, {"name": "node-1", "tags": TAGS})
    operation["resource"] |= {"retainOnDelete": True, "protect": True}
    (added,) = deployment().settled(planned(operation))["deployment"]["resources"][1:]
    assert (added["retainOnDelete"], added["protect"]) == (True, True)


def test_what_is_in_flight_is_not_looked_up_as_planned_too() -> None:
    made_role("node-1", TAGS)
    operation = pending(ROLE, {"name": "node-1", "tags": TAGS})
    random_name = pending(ROLE, {"name": "node-9", "tags": TAGS})["resource"]
    state = deployment(operation)
    (only,) = Settlement(state, REGION, {}, set(), [random_name]).decisions()
    assert (only.operation.kind, only.id) == ("creating", "node-1")


def test_a_planned_resource_of_a_planned_provider_does_not_exist() -> None:
    made_role("node-1", TAGS)
    operation = pending(ROLE, {"name": "node-1", "tags": TAGS})
    operation["resource"]["provider"] = "urn:pulumi:a::b::pulumi:providers:aws::other::id"
    assert planned(operation) == []


def test_the_stack_gets_the_resource_with_its_present_provider_and_no_outputs() -> None:
    made_role("node-1", TAGS)
    operation = pending(ROLE, {"name": "node-1", "tags": TAGS})
    operation["resource"] |= {
        "outputs": {},
        "parent": "urn:gone",
        "dependencies": [PROVIDER, "urn:gone"],
        "propertyDependencies": {"name": ["urn:gone"]},
    }
    state = deployment(operation)
    settled = state.settled(Settlement(state, REGION, {}, set()).decisions())
    assert "pending_operations" not in settled["deployment"]
    assert settled["deployment"]["resources"][1:] == [
        {
            "urn": operation["resource"]["urn"],
            "type": ROLE,
            "custom": True,
            "id": "node-1",
            "inputs": {"name": "node-1", "tags": TAGS},
            "provider": f"{PROVIDER}::new-id",
            "dependencies": [PROVIDER],
            "propertyDependencies": {"name": []},
        }
    ]
    assert len(state.operations) == 1  # the exported state is as it was


def test_a_name_of_somebody_else_is_left_to_the_person_with_both_commands() -> None:
    made_role("node-1", {**TAGS, "stack": "us-west-2"})
    left = decision(pending(ROLE, {"name": "node-1", "tags": TAGS}))
    assert left.outcome is Outcome.OPEN
    assert "node-1 exists without the tags of this stack" in left.reason
    urn = left.operation.urn
    assert f"`./kf resume --stack {REGION} --exists {urn}=ID` if it exists" in left.reason
    assert f"`./kf resume --stack {REGION} --absent {urn}` if not" in left.reason


def test_a_prefix_finds_what_has_the_stacks_tags_and_terraforms_suffix() -> None:
    suffix = "20261128213257031300000001"
    made_role(f"kubeflow-ui-{suffix}", TAGS)
    made_role(f"kubeflow-{suffix}", {**TAGS, "stack": "us-west-2"})
    made_role("kubeflow-by-hand", TAGS)
    wanted = pending(ROLE, {"namePrefix": "kubeflow-", "tags": TAGS})
    assert decision(wanted).outcome is Outcome.CLEARED
    made_role(f"kubeflow-{suffix[::-1]}", TAGS)
    assert decision(wanted).id == f"kubeflow-{suffix[::-1]}"


def test_two_kills_of_one_creation_with_one_thing_each_are_left_with_both_ids() -> None:
    urls = [client("sqs").create_queue(QueueName=f"q-{n}")["QueueUrl"] for n in (1, 2)]
    operations = [pending(QUEUE, {"name": f"q-{n}"}) for n in (1, 2, 3)]
    left = decision(*operations)
    assert left.outcome is Outcome.OPEN
    assert f"AWS has 2: {urls[0]} and {urls[1]}" in left.reason
    assert decision(*operations[1:]).id == urls[1]


def test_what_the_state_has_already_is_not_found_again() -> None:
    url = client("sqs").create_queue(QueueName="q-1")["QueueUrl"]
    other = client("sqs").create_queue(QueueName="q-2")["QueueUrl"]
    first, second = (pending(QUEUE, {"name": f"q-{number}"}) for number in (1, 2))
    owned = {"urn": first["resource"]["urn"], "type": QUEUE, "id": url, "outputs": {"url": url}}
    assert decision(first, resources=[owned]).outcome is Outcome.CLEARED
    left = decision(second, resources=[owned])
    assert f"{other} exists beside the one in the state: delete it" in left.reason
    assert "--exists" not in left.reason


def test_credentials_of_another_account_find_nothing_and_clear_nothing() -> None:
    arn = "arn:aws-cn:sqs:cn-north-1:999999999999:q"
    elsewhere = {"urn": "urn:other", "type": QUEUE, "id": "q", "provider": f"{PROVIDER}::new-id"}
    left = decision(
        pending(QUEUE, {"name": "q-1"}), resources=[{**elsewhere, "outputs": {"arn": arn}}]
    )
    assert left.outcome is Outcome.OPEN
    assert f"of account {ACCOUNT} and the stack is in 999999999999" in left.reason


def test_a_refused_call_is_named_and_clears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Iterator[Any]:
        raise CallFailed("iam:GetRole fails (AccessDenied): check it.")

    monkeypatch.setitem(aws_lookups.LOOK_UPS, ROLE, refused)
    left = decision(pending(ROLE, {"name": "node"}))
    assert left.outcome is Outcome.OPEN
    assert "iam:GetRole fails (AccessDenied)" in left.reason


@pytest.mark.parametrize(
    ("status", "words"),
    [("CREATING", "run this command again when AWS is done"), ("CREATE_FAILED", "delete it, then")],
)
def test_what_is_not_ready_stays_pending(
    status: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unready(*_: object) -> Iterator[Thing]:
        yield Thing("kubeflow", status=status)

    type_ = "aws:eks/cluster:Cluster"
    monkeypatch.setitem(aws_lookups.LOOK_UPS, type_, unready)
    left = decision(pending(type_, {"name": "kubeflow"}))
    assert left.outcome is Outcome.OPEN
    assert f"kubeflow is {status}: {words}" in left.reason


def test_an_encrypted_name_is_not_guessed() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    left = decision(pending(QUEUE, {"name": {**secret, "ciphertext": "v1:abc"}}))
    assert left.outcome is Outcome.OPEN
    assert "its input name is missing or encrypted" in left.reason


def test_a_lost_access_key_is_named_with_the_command_that_deletes_it() -> None:
    iam = client("iam")
    iam.create_user(UserName="push")
    kept, lost = (
        iam.create_access_key(UserName="push")["AccessKey"]["AccessKeyId"] for _ in range(2)
    )
    type_ = "aws:iam/accessKey:AccessKey"
    owned = {"urn": "urn:kept", "type": type_, "id": kept, "outputs": {"user": "push"}}
    left = decision(pending(type_, {"user": "push"}), resources=[owned])
    command = f"`aws iam delete-access-key --user-name push --access-key-id {lost}`"
    assert (left.outcome, command in left.reason) == (Outcome.OPEN, True)


@pytest.mark.parametrize(
    ("type_", "kind", "outcome", "words"),
    [
        ("kubernetes:core/v1:Secret", "creating", Outcome.CLEARED, "changes nothing"),
        ("kubernetes:helm.sh/v3:Release", "creating", Outcome.OPEN, "helm status karpenter"),
        ("pulumi-python:dynamic:GeneratedSecret", "creating", Outcome.CLEARED, ""),
        ("aws:s3/bucketPolicy:BucketPolicy", "creating", Outcome.CLEARED, "s3:PutBucketPolicy"),
        ("aws:quantum/entangler:Entangler", "creating", Outcome.OPEN, "no look-up"),
        (QUEUE, "deleting", Outcome.READ, "interrupted"),
        (QUEUE, "updating", Outcome.READ, "interrupted"),
        (QUEUE, "reading", Outcome.CLEARED, "repeated"),
        ("kubernetes:core/v1:Secret", "deleting", Outcome.CLEARED, "repeated"),
    ],
)
def test_types_and_kinds(type_: str, kind: str, outcome: Outcome, words: str) -> None:
    inputs = {"name": "karpenter", "namespace": "kube-system"}
    only = decision(pending(type_, inputs, kind))
    assert (only.outcome, words in only.reason) == (outcome, True), only.reason


def test_the_persons_word_decides_and_a_urn_without_operation_is_refused() -> None:
    state = deployment(pending(QUEUE, {"name": "q"}))
    urn = state.operations[0].urn
    (taken,) = Settlement(state, REGION, {urn: "q-id"}, set()).decisions()
    assert (taken.outcome, taken.id) == (Outcome.TAKEN, "q-id")
    (cleared,) = Settlement(state, REGION, {}, {urn}).decisions()
    assert cleared.outcome is Outcome.CLEARED
    with pytest.raises(Refused, match="urn:else: no operation of that URN is pending or planned"):
        Settlement(state, REGION, {}, {"urn:else"})


# -- Locks ----------------------------------------------------------------------------------------


def ended_process() -> int:
    code = "import os; print(os.getpid())"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def lock(pid: int, hostname: str = "", age: float = 0) -> dict[str, Any]:
    since = datetime.now(UTC) - timedelta(seconds=age)
    owner = {"pid": pid, "username": "ann", "hostname": hostname or socket.gethostname()}
    return {**owner, "timestamp": since.isoformat()}


class Cli(PulumiCli):
    """A CLI whose backend is a folder, and which notes that it lifted the lock."""

    def backend(self) -> str:
        return f"file://{self.folder}"

    def cancel(self) -> None:
        (self.folder / "lifted").touch()


def locked(folder: Path, *contents: dict[str, Any]) -> Cli:
    (folder / "Pulumi.yaml").write_text("name: kubeflow\n")
    for number, content in enumerate(contents):
        file = folder / f".pulumi/locks/organization/kubeflow/{REGION}/{number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return Cli(Path("pulumi"), folder, REGION)


def lifted(cli: Cli, *, take_over: bool = False, dry_run: bool = False) -> bool:
    resume.lift_lock(cli, take_over=take_over, dry_run=dry_run)
    return (cli.folder / "lifted").exists()


def test_the_lock_of_a_dead_process_is_lifted_except_in_a_dry_run(tmp_path: Path) -> None:
    cli = locked(tmp_path, lock(ended_process()))
    assert not lifted(cli, dry_run=True)
    assert lifted(cli)


@pytest.mark.parametrize("take_over", [False, True])
def test_the_lock_of_a_live_process_stays(tmp_path: Path, take_over: bool) -> None:
    cli = locked(tmp_path, lock(ended_process()), lock(os.getpid()))
    with pytest.raises(Refused, match=rf"ann@.* \(process {os.getpid()}\) since .* is running"):
        lifted(cli, take_over=take_over)
    assert not (tmp_path / "lifted").exists()


def test_a_process_younger_than_the_lock_is_another_one(tmp_path: Path) -> None:
    assert lifted(locked(tmp_path, lock(os.getpid(), age=86_400 * 365)))


def test_the_lock_of_another_machine_stays_without_the_persons_word(tmp_path: Path) -> None:
    cli = locked(tmp_path, lock(1, "elsewhere"))
    with pytest.raises(Refused, match=f"`./kf resume --stack {REGION} --take-over`"):
        lifted(cli)
    assert not (tmp_path / "lifted").exists()
    assert lifted(cli, take_over=True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x", "timestamp": 1}'])
def test_a_broken_lock_is_one_sentence(tmp_path: Path, content: str) -> None:
    cli = locked(tmp_path, lock(1))
    next(tmp_path.rglob("locks/**/*.json")).write_text(content)
    with pytest.raises(Refused, match="cannot be read: make sure"):
        lifted(cli)


def test_half_written_attributes_of_the_state_are_removed_except_in_a_dry_run(
    tmp_path: Path,
) -> None:
    cli = locked(tmp_path)
    folder = tmp_path / ".pulumi/stacks/kubeflow"
    folder.mkdir(parents=True)
    torn, whole = folder / f"{REGION}.json.attrs", folder / f"{REGION}.json.bak.attrs"
    torn.touch()
    whole.write_text("{}")
    lifted(cli, dry_run=True)
    assert torn.exists()
    lifted(cli)
    assert (torn.exists(), whole.exists()) == (False, True)


def test_the_lock_of_another_stack_is_not_looked_at(tmp_path: Path) -> None:
    locked(tmp_path, lock(os.getpid()))
    assert locks(f"file://{tmp_path}", "kubeflow", "north-1", tmp_path) == []
    assert locks(f"file://{tmp_path}", "flow", REGION, tmp_path) == []
    assert not lifted(Cli(Path("pulumi"), tmp_path, "us-west-2"))


@pytest.mark.parametrize("prefix", ["", "team/a"])
def test_locks_in_s3_are_read_below_the_prefix_of_the_backend(prefix: str) -> None:
    s3, content = client("s3"), lock(4242, "elsewhere")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": REGION})
    for begin, pid in ((prefix, 4242), ("not/here", 1)):
        key = f"{begin}/.pulumi/locks/organization/kubeflow/{REGION}/0aa0.json".lstrip("/")
        s3.put_object(Bucket="states", Key=key, Body=json.dumps({**content, "pid": pid}))
    url = f"s3://states/{prefix}?region={REGION}&awssdk=v2"
    assert locks(url, "kubeflow", REGION, Path()) == [Lock.of(json.dumps({**content}).encode())]


def test_other_backends_are_told_from_an_unlocked_one(tmp_path: Path) -> None:
    assert locks("https://api.pulumi.com", "kubeflow", REGION, tmp_path) is None
    assert locks(f"file://{tmp_path}", "kubeflow", REGION, tmp_path) == []


# -- The command ----------------------------------------------------------------------------------


PULUMI = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:3]) + "\\n")
if sys.argv[1] == "whoami":
    print(json.dumps({{"url": "file://" + {folder!r}}}))
if sys.argv[1:3] == ["stack", "export"]:
    print((folder / "state.json").read_text())
if sys.argv[1:3] == ["stack", "import"]:
    (folder / "state.json").write_text(sys.stdin.read())
if sys.argv[1] == "preview":
    print((folder / "plan.json").read_text())
if (folder / "broken").exists():
    sys.exit("error: no such stack")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a CLI that keeps its state in a file."""
    program = tmp_path / "bin/pulumi"
    program.parent.mkdir()
    program.write_text(PULUMI.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    (tmp_path / "plan.json").write_text('{"steps": []}')
    (tmp_path / "Pulumi.yaml").write_text("name: kubeflow\n")
    (tmp_path / f"Pulumi.{REGION}.yaml").write_text(stack_file(REGION))
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    tool = Tool(program, "3.259.0", "of a test")
    monkeypatch.setattr("toolchain.tools.pulumi", {messages.print: tool}.get)
    return tmp_path


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def state(folder: Path, *operations: Any) -> None:
    (folder / "state.json").write_text(json.dumps(deployment(*operations).exported))


def test_the_command_repairs_the_state_and_names_the_next_one(folder: Path) -> None:
    client("sqs").create_queue(QueueName="q")
    state(folder, pending(QUEUE, {"name": "q", "password": "hunter2"}))
    result = kf("resume", "--stack", REGION, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "stack import" not in calls(folder)
    result = kf("resume", "--stack", REGION)
    assert result.exit_code == 0, result.stderr
    assert calls(folder)[-2:] == ["stack import", "refresh --yes"]
    assert "creating aws:sqs/queue:Queue it: taken into the state" in result.stderr
    assert f"Go on with `pulumi up --stack {REGION}`" in result.stderr
    assert "hunter2" not in result.stderr + result.stdout
    # Its refresh did nothing, so the next call reads it again.
    kf("resume", "--stack", REGION)
    assert calls(folder)[-3:] == ["stack export", "preview --json", "refresh --yes"]


@pytest.mark.parametrize("operation", ["create", "import"])
def test_the_command_looks_up_what_is_planned(folder: Path, operation: str) -> None:
    client("sqs").create_queue(QueueName="q", tags=TAGS)
    state(folder)
    create = pending(QUEUE, {"name": "q", "tags": TAGS})["resource"]
    same = pending(QUEUE, {"name": "q", "tags": TAGS}, name="other")["resource"]
    steps = [{"op": operation, "newState": create}, {"op": "same", "newState": same}]
    (folder / "plan.json").write_text(json.dumps({"steps": steps}))
    result = kf("resume", "--stack", REGION)
    assert result.exit_code == 0, result.stderr
    assert "planned aws:sqs/queue:Queue it: taken into the state" in result.stderr
    assert calls(folder)[-2:] == ["stack import", "refresh --yes"]


def test_a_program_that_fails_leaves_what_was_in_flight(folder: Path) -> None:
    (folder / "plan.json").write_text("")
    state(folder, pending(QUEUE, {"name": "q"}))
    result = kf("resume", "--stack", REGION)
    assert result.exit_code == 0, result.stderr
    assert "Only what was in flight is looked up: `pulumi preview` of" in result.stderr
    assert calls(folder)[-1] == "stack import"


@pytest.mark.parametrize(
    ("operations", "last"),
    [([], "refresh --yes"), ([pending(QUEUE, {"name": "q"})], "stack import")],
    ids=["nothing in flight", "a creation in flight"],
)
def test_what_a_provider_deleted_before_it_died_alone_is_read(
    folder: Path, operations: list[Any], last: str
) -> None:
    """The engine forgets that operation, and a preview reads nothing."""
    state(folder, *operations)
    kf("resume", "--stack", REGION)
    assert calls(folder)[-1] == last


def test_one_open_operation_leaves_the_whole_state_with_exit_code_3(folder: Path) -> None:
    state(folder, pending(QUEUE, {"name": "q"}), pending("aws:quantum/entangler:Entangler", {}))
    result = kf("resume", "--stack", REGION)
    assert result.exit_code == 3
    assert "entangler:Entangler it: left (there is no look-up for this type" in result.stderr
    assert "stack import" not in calls(folder)


def test_an_interrupted_destroy_goes_on_with_destroy(folder: Path) -> None:
    state(folder, pending("kubernetes:core/v1:Secret", {}, "deleting"))
    result = kf("resume", "--stack", REGION)
    assert f"Go on with `pulumi destroy --stack {REGION}`." in result.stderr
    assert calls(folder)[-1] == "stack import"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stack", "nowhere"], "Pulumi.nowhere.yaml"),
        (["--stack", REGION, "--exists", "queue"], "--exists queue: write URN=ID"),
        (["--stack", REGION, "--absent", "urn:x"], "urn:x: no operation of that URN"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    state(folder)
    result = kf("resume", *arguments)
    assert (result.exit_code, sentence in result.stderr) == (2, True), result.stderr


def test_what_the_cli_refuses_is_its_own_sentence(folder: Path) -> None:
    (folder / "broken").touch()
    result = kf("resume", "--stack", REGION)
    assert result.exit_code == 2
    assert f"`pulumi whoami` of {REGION} fails: no such stack" in result.stderr


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        (False, "PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions: "),
        (
            True,
            "no stack named 'x' found: `pulumi stack ls` lists those of the state ",
        ),
    ],
)
def test_a_state_that_is_not_there_is_told_with_the_way_to_it(
    backend: bool, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: kubeflow\nruntime: python\n")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULUMI_ACCESS_TOKEN", raising=False)
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    if backend:
        monkeypatch.setenv("PULUMI_BACKEND_URL", tmp_path.as_uri())
    cli = PulumiCli(tools.pulumi(messages.print).path, tmp_path, "x")
    with pytest.raises(CliFailed) as refusal:
        cli.export() if backend else cli.backend()
    assert sentence in str(refusal.value)
    assert "pulumi login" in str(refusal.value)


def test_locks_are_those_of_this_machine_by_its_host_name() -> None:
    assert Lock.of(json.dumps(lock(1)).encode()).here
    assert Lock(1, "ann", "elsewhere", datetime.now(UTC)).here is False
