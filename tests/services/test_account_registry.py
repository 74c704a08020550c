"""The account's registry, on moto's server: what is there, what is made, and who may log in."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer
from typer.testing import Result

from components.registry.ecr_repositories import PARALLEL
from images.reference import parse
from ops import targets
from ops.cli_errors import Refused
from ops.mirror import target
from ops.mirror.account_registry import AccountRegistry
from rendering import lock as locks
from settings import MANIFESTS, from_mapping
from tests.harness import stack_file
from tests.ops.command import kf
from tests.services.certificates import Authority
from tests.services.disturbances import way_to
from tests.services.registry import MANIFEST, Registry, registry

REGION = "cn-north-1"
ACCOUNT = "123456789012"  # moto's
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com.cn"
TAGS = {"stack": "test", "cluster": "kubeflow"}
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture(scope="module")
def aws() -> Generator[str]:
    """The URL of a simulated AWS."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def account(aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for the simulated AWS only, in which nothing has been made."""
    requests.post(f"{aws}/moto-api/reset", timeout=10).raise_for_status()
    for variable in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def ecr(aws: str) -> Any:
    return boto3.client("ecr", region_name=REGION, endpoint_url=aws)


def put(ecr: Any, repository: str, tag: str) -> str:
    described = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": A, "size": 1}}
    manifest = json.dumps({**described, "annotations": {"said": tag}})
    made = ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest)
    return made["image"]["imageId"]["imageDigest"]


def test_every_repository_and_tag_is_seen_also_where_there_are_more_than_connections(
    ecr: Any,
) -> None:
    many = PARALLEL + 3
    names = [f"kubeflow/quay.io/{number:04}" for number in range(many)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    digests = {f"v{number}": put(ecr, names[-1], f"v{number}") for number in range(many)}
    known = AccountRegistry(ecr, TAGS, "kubeflow")
    assert known.prepare(dict.fromkeys(names, "MUTABLE")) == []
    assert known.digests([names[-1], "kubeflow/absent"]) == {names[-1]: digests}


def test_each_page_is_asked_for(ecr: Any) -> None:
    """moto answers with one page, whatever there is; ECR's own has a thousand at most."""
    with Stubber(ecr) as aws:
        first = {"repositoryName": "kubeflow/a", "repositoryArn": "arn:a"}
        second = {"repositoryName": "kubeflow/b", "repositoryArn": "arn:b"}
        aws.add_response("describe_repositories", {"repositories": [first], "nextToken": "more"})
        aws.add_response(
            "describe_repositories",
            {"repositories": [second]},
            {"maxResults": 1000, "nextToken": "more"},
        )
        asked: dict[str, Any] = {"filter": {"tagStatus": "TAGGED"}, "maxResults": 1000}
        asked["repositoryName"] = "kubeflow/b"
        one, two = ({"imageTag": "1", "imageDigest": A}, {"imageTag": "2", "imageDigest": B})
        aws.add_response("list_images", {"imageIds": [one], "nextToken": "next"}, asked)
        aws.add_response("list_images", {"imageIds": [two]}, {**asked, "nextToken": "next"})
        found = AccountRegistry(ecr, TAGS, "kubeflow").digests(["kubeflow/b"])
        assert found == {"kubeflow/b": {"1": A, "2": B}}
        aws.assert_no_pending_responses()


def test_the_login_names_the_account_and_shows_no_password(ecr: Any) -> None:
    login = AccountRegistry(ecr, TAGS, "kubeflow").login()
    assert login.account == ACCOUNT
    assert base64.b64decode(login.token).startswith(b"AWS:")
    assert login.token not in repr(login)


def test_a_login_is_renewed_after_half_its_time(ecr: Any) -> None:
    granted = {
        "authorizationToken": "QVdTOngK",
        "proxyEndpoint": f"https://{HOST}",
        "expiresAt": datetime.now(UTC) + timedelta(hours=12),
    }
    with Stubber(ecr) as aws:
        aws.add_response("get_authorization_token", {"authorizationData": [granted]})
        left = AccountRegistry(ecr, TAGS, "kubeflow").login().renew_at - datetime.now(UTC)
    assert timedelta(hours=5, minutes=55) < left < timedelta(hours=6, minutes=5)


def test_what_aws_refuses_is_told_by_its_code_alone(ecr: Any) -> None:
    with Stubber(ecr) as aws:
        aws.add_client_error("get_authorization_token", "AccessDenied", "secret words")
        with pytest.raises(
            Refused, match=r"the right ecr:GetAuthorizationToken is missing \(AccessDenied\)"
        ) as refused:
            AccountRegistry(ecr, TAGS, "kubeflow").login()
    assert "secret" not in str(refused.value)


@pytest.fixture
def stack(aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one stack, ``test``, whose ECR is the simulated one."""
    (tmp_path / "Pulumi.yaml").write_text("name: kubeflow\n")
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(stack_file(REGION, f"  kubeflow:endpoints:\n    ecr: {aws}\n"))
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return file


def tags_of(ecr: Any, name: str) -> dict[str, str]:
    (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    tags = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}


def images(command: str, *more: str) -> Result:
    return kf("images", command, "--stack", "test", *more)


def test_a_stack_is_checked_in_the_account_of_the_credentials(ecr: Any, stack: Path) -> None:
    name = "kubeflow/quay.io/jetstack/cert-manager-controller"
    ecr.create_repository(repositoryName=name)
    done = images("check", "--only", "*cert-manager-controller*")
    assert done.exit_code == 1
    assert f"is missing: there is no {HOST}/{name}:v1" in done.stdout
    source = done.stdout.split()[0]
    put(ecr, name, source.rpartition(":")[2])
    done = images("check", "--only", "*cert-manager-controller*")
    assert (done.exit_code, done.stdout) == (0, "")


def test_credentials_of_another_account_are_refused(stack: Path) -> None:
    with stack.open("a") as file:
        file.write('  kubeflow:accountId: "999988887777"\n')
    done = images("check")
    assert done.exit_code == 2
    refused = f"account {ACCOUNT} and kubeflow:accountId is 999988887777 for test: "
    assert f"the credentials are of {refused}" in done.stderr


def test_copies_for_another_account_are_refused(stack: Path, tmp_path: Path) -> None:
    elsewhere = HOST.replace(ACCOUNT, "999988887777")
    (tmp_path / "images.txt").write_text(f"quay.io/a/b:v1 -> {elsewhere}/kubeflow/b:v1\n")
    done = images("mirror", "--from", str(tmp_path / "images.txt"))
    assert done.exit_code == 2
    assert f"the copies go to {elsewhere}, and the credentials are for {HOST}." in done.stderr


@pytest.mark.usefixtures("stack")
def test_a_list_puts_no_other_image_where_the_platform_has_its_own(tmp_path: Path) -> None:
    own = f"{HOST}/kubeflow/docker.io/alpine/k8s:1.36.2"
    (tmp_path / "images.txt").write_text(f"quay.io/a/b:v1 -> {own}\n")
    done = images("mirror", "--from", str(tmp_path / "images.txt"))
    assert done.exit_code == 2
    assert done.stderr == (
        f"{own} is the platform's copy of docker.io/alpine/k8s:1.36.2, and quay.io/a/b:v1 would "
        "replace it: write another target.\n"
    )


# bcrypt of the password that moto gives out, f"{ACCOUNT}-auth-token".
USERS = "AWS:$2b$05$abcdefghijklmnopqrstuu/4ofrUS75HrKu6f.iuRo0I/XlrmpqlC"


def test_images_reach_ecr_with_its_login_and_leave_none_behind(
    *,
    upstream: Registry,
    ecr: Any,
    stack: Path,
    fresh_cache: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A registry with TLS and a login stands for ECR's Docker side, reached under ECR's name."""
    digest = upstream.push("team/app", "v1", layers=1)
    source, name = f"{upstream.host}/team/app:v1", "kubeflow/team/app"
    (tmp_path / "images.txt").write_text(f"{source} -> {HOST}/{name}:v1\n")
    ring = key_ring(tmp_path, monkeypatch)
    authority = Authority(tmp_path)
    (tmp_path / "ecr").mkdir()
    with (
        registry(tmp_path / "ecr", authority.sign(HOST, tmp_path / "ecr"), USERS) as behind,
        way_to(behind.host) as way,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{way.host}")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        dry = images("mirror", "--from", str(tmp_path / "images.txt"), "--dry-run")
        assert dry.exit_code == 0, dry.output
        assert "repositories to make: 1" in dry.stderr
        assert ecr.describe_repositories()["repositories"] == []
        done = images("mirror", "--from", str(tmp_path / "images.txt"))
        assert done.exit_code == 0, done.output
        assert tags_of(ecr, name) == {
            "project": "kubeflow",
            "stack": "test",
            "cluster": "kubeflow",
            "Name": name,
            "kubeflow-cluster/kubeflow": "made",
        }
        login = AccountRegistry(ecr, TAGS, "kubeflow").login()
        answer = requests.get(
            f"https://{HOST}/v2/{name}/manifests/v1",
            headers={
                "Accept": MANIFEST,
                "Authorization": f"Basic {login.token}",
            },
            verify=str(authority.file),
            timeout=10,
        )
        assert answer.headers["Docker-Content-Digest"] == digest
    password = base64.b64decode(login.token).decode().partition(":")[2]
    assert login.token not in dry.output + done.output
    assert password not in dry.output + done.output
    assert {call.split()[0] for call in ring.read_text().splitlines()} == {"get"}
    assert (tmp_path / "docker" / "config.json").read_text() == '{"credsStore": "ring"}'


def key_ring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a key ring the person's; returns the file with what it was asked to do."""
    calls, helper = folder / "calls", folder / "docker-credential-ring"
    missing = "echo credentials not found in native keychain; exit 1"
    helper.write_text(f"#!/bin/sh\necho $1 $(cat) >> {calls}\n{missing}\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (folder / "docker").mkdir()
    (folder / "docker" / "config.json").write_text('{"credsStore": "ring"}')
    return calls


def test_a_list_goes_to_a_registry_that_no_stack_names(
    ecr: Any, aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", aws)
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    (tmp_path / "images.txt").write_text("quay.io/a/b:v1\n")
    ecr.create_repository(repositoryName="research/quay.io/a/b")
    own = ["images", "check", "--from", str(tmp_path / "images.txt"), "--registry"]
    done = kf(*own, f"{HOST}/research")
    assert done.exit_code == 1
    copy = f"{HOST}/research/quay.io/a/b:v1"
    assert done.stdout == f"quay.io/a/b:v1 is missing: there is no {copy}\n"
    put(ecr, "research/quay.io/a/b", "v1")
    done = kf(*own, f"{HOST}/research")
    assert (done.exit_code, done.stdout) == (0, "")
    elsewhere = HOST.replace(ACCOUNT, "999988887777")
    done = kf(*own, f"{elsewhere}/research")
    assert done.exit_code == 2
    assert f"the copies go to {elsewhere}, and the credentials are for {HOST}." in done.stderr


@pytest.fixture
def lab(aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The place of the copies of the one stack here."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", aws)
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: kubeflow\n")
    more = "  kubeflow:imageMirror: {repositoryPrefix: lab}\n"
    (tmp_path / "Pulumi.lab.yaml").write_text(stack_file(REGION, more))
    (tmp_path / "Pulumi.broken.yaml").write_text("config: [")
    return f"{HOST}/lab"


def platforms_image() -> str:
    """A platform's image by a tag of which no lock has a digest."""
    release = from_mapping({"region": REGION}).release
    found = locks.load(MANIFESTS / release, release).images
    return next(each.source for each in found if not each.digest and "@" not in each.source)


@pytest.mark.usefixtures("ecr")
@pytest.mark.parametrize("options", [("none", "lab"), ("none", "other"), ("lab", None)])
def test_a_list_moves_no_copy_of_the_platform_wherever_it_goes(
    lab: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str | None]
) -> None:
    stack, prefix = options
    source, file = platforms_image(), tmp_path / "images.txt"
    name = parse(source).mirrored(lab)
    file.write_text(f"{source} -> {name}\nquay.io/a/b:v1 -> {HOST}/other/a:v1\n")
    registry = f"{HOST}/{prefix}" if prefix else None
    with target.opened(stack, file, None, registry) as (copies, _, _):
        kept = {str(each.target): each.kept for each in copies}
    assert kept == {name: True, f"{HOST}/other/a:v1": False}
    assert "Pulumi.broken.yaml cannot be read" in capsys.readouterr().err
    file.write_text(f"quay.io/evil/app:v1 -> {name}\n")
    with pytest.raises(Refused, match="is the platform's copy of"):  # noqa: SIM117
        with target.opened(stack, file, None, registry):
            pass


def test_repositories_for_a_list_are_marked_as_the_mirror_marks_its_own(
    ecr: Any, aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", aws)
    file = tmp_path / "images.txt"
    file.write_text("quay.io/a/b:v1\n")
    with target.opened("none", file, None, f"{HOST}/research") as (copies, registry, _):
        assert registry.prepare(copies) == ["research/quay.io/a/b"]
    tags = tags_of(ecr, "research/quay.io/a/b")
    assert (tags["cluster"], tags["kubeflow-cluster/research"]) == ("research", "made")
