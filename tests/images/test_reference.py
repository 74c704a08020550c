"""Image references: what each text means, and where its copy lives."""

from __future__ import annotations

import re

import pytest

from images.reference import LONGEST_PREFIX, InvalidReference, parse

SHA = "sha256:" + "0123456789abcdef" * 4
ECR = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
OWN = f"{ECR}/kubeflow"
MARKER = "<<image.prefix>>"

# image as written -> registry, repository, tag, digest
READ = [
    ("python", "docker.io", "library/python", "latest", None),
    ("python:3.9", "docker.io", "library/python", "3.9", None),
    ("library/python", "docker.io", "library/python", "latest", None),
    ("docker.io/python:3", "docker.io", "library/python", "3", None),
    ("index.docker.io/python:3", "docker.io", "library/python", "3", None),
    ("INDEX.Docker.IO/library/python", "docker.io", "library/python", "latest", None),
    ("docker.io/library/python@" + SHA, "docker.io", "library/python", None, SHA),
    (
        "kubeflownotebookswg/jupyter-scipy:v1.9.2",
        "docker.io",
        "kubeflownotebookswg/jupyter-scipy",
        "v1.9.2",
        None,
    ),
    ("a/b/c/d", "docker.io", "a/b/c/d", "latest", None),
    (
        "quay.io/argoproj/workflow-controller:v3.7.3",
        "quay.io",
        "argoproj/workflow-controller",
        "v3.7.3",
        None,
    ),
    ("Quay.IO/x/y:T", "quay.io", "x/y", "T", None),
    ("registry.k8s.io/pause:3.10@" + SHA, "registry.k8s.io", "pause", "3.10", SHA),
    (
        "gcr.io/knative-releases/knative.dev/serving/cmd/queue@" + SHA,
        "gcr.io",
        "knative-releases/knative.dev/serving/cmd/queue",
        None,
        SHA,
    ),
    ("localhost/x", "localhost", "x", "latest", None),
    ("localhost:5000/x:1", "localhost:5000", "x", "1", None),
    ("LocalHost:5000/x", "localhost:5000", "x", "latest", None),
    ("reg.example.com:5000/team/app", "reg.example.com:5000", "team/app", "latest", None),
    ("reg.example.com:05000/app", "reg.example.com:5000", "app", "latest", None),
    ("registry:5000/app:1@" + SHA, "registry:5000", "app", "1", SHA),
    ("10.0.0.1/app", "10.0.0.1", "app", "latest", None),
    ("10.0.0.1:443/app:v1", "10.0.0.1:443", "app", "v1", None),
    ("[2001:DB8::1]/app:v1", "[2001:db8::1]", "app", "v1", None),
    ("[2001:db8:0:0::1]:5000/a/b@" + SHA, "[2001:db8::1]:5000", "a/b", None, SHA),
    ("[::1]:5000/app", "[::1]:5000", "app", "latest", None),
    ("MYHOST/app:1", "myhost", "app", "1", None),
    ("x/y__z-a--b.c_d:_t", "docker.io", "x/y__z-a--b.c_d", "_t", None),
    ("xn--7o8h.com/app", "xn--7o8h.com", "app", "latest", None),
    ("a.b/c:" + "t" * 128, "a.b", "c", "t" * 128, None),
    ("a.b/c@sha512:" + "0" * 128, "a.b", "c", None, "sha512:" + "0" * 128),
    (f"{ECR}/eks/coredns:v1.12.4-eksbuild.1", ECR, "eks/coredns", "v1.12.4-eksbuild.1", None),
    (f"{MARKER}/docker.io/library/python:3", MARKER, "docker.io/library/python", "3", None),
    (f"{MARKER}/app@{SHA}", MARKER, "app", None, SHA),
]

INVALID = [
    ("", "empty"),
    (" python", "not well-formed"),
    ("Python", "lower-case"),
    ("quay.io/Team/app", "lower-case"),
    ("quay.io/", "not well-formed"),
    ("/app", "not well-formed"),
    ("quay.io//app", "not well-formed"),
    ("quay.io/app/", "not well-formed"),
    ("quay.io/a..b", "not well-formed"),
    ("quay.io/a___b", "not well-formed"),
    ("quay.io/-a", "not well-formed"),
    ("quay.io/app:", "tag"),
    ("quay.io/app:.1", "tag"),
    ("quay.io/app:-1", "tag"),
    ("quay.io/app:a b", "tag"),
    ("quay.io/app:" + "t" * 129, "tag"),
    ("quay.io/app@", "digest"),
    ("quay.io/app@sha256:abc", "digest"),
    ("quay.io/app@sha256:" + "A" * 64, "digest"),
    ("quay.io/app@md5:" + "a" * 32, "digest"),
    (f"quay.io/app@{SHA}@{SHA}", "digest"),
    ("a" * 64, "image id"),
    ("quay.io/" + "a" * 256, "255"),
    ("-quay.io/app", "no host name"),
    ("quay-.io/app", "no host name"),
    ("quay..io/app", "no host name"),
    ("quay_x.io/app", "no host name"),
    ("localhost:port/app", "no host name"),
    ("localhost:/app", "no host name"),
    ("localhost:0/app", "port"),
    ("localhost:65536/app", "port"),
    ("localhost:" + "9" * 400 + "/app", "port"),
    ("[2001:db8::1/app", "no host name"),
    ("[2001:db8::1::2]/app", "IPv6"),
    ("2001:db8::1/app", "no host name"),
    ("https://quay.io/app", "host"),
    ("quay.io/app\n", "not well-formed"),
    ("quay.io/äpp", "not well-formed"),
    ("<<image.prefix>>", "lower-case|not well-formed"),
    ("<<image.prefix>>x/app", "host"),
]


@pytest.mark.parametrize(("image", "registry", "repository", "tag", "digest"), READ)
def test_an_image_is_read_as_the_kubelet_reads_it(
    image: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    read = parse(image)
    assert (read.registry, read.repository, read.tag, read.digest) == (
        registry,
        repository,
        tag,
        digest,
    )


@pytest.mark.parametrize("image", [row[0] for row in READ])
def test_a_normalised_image_reads_as_itself(image: str) -> None:
    assert parse(str(parse(image))) == parse(image)


@pytest.mark.parametrize(("image", "reason"), INVALID)
def test_a_wrong_image_is_refused_with_one_sentence(image: str, reason: str) -> None:
    with pytest.raises(InvalidReference, match=reason) as refused:
        parse(image)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("image", "target"),
    [
        ("python:3.9", f"{OWN}/docker.io/library/python:3.9"),
        ("python", f"{OWN}/docker.io/library/python:latest"),
        (f"quay.io/x/y@{SHA}", f"{OWN}/quay.io/x/y@{SHA}"),
        (f"quay.io/x/y:1@{SHA}", f"{OWN}/quay.io/x/y:1@{SHA}"),
        ("reg.example.com:5000/x:1", f"{OWN}/port-5000/reg.example.com/x:1"),
        ("localhost/x:1", f"{OWN}/localhost/x:1"),
        ("MYHOST/x:1", f"{OWN}/host/myhost/x:1"),
        ("[::1]:80/x:1", f"{OWN}/port-80/ipv6-0000-0000-0000-0000-0000-0000-0000-0001/x:1"),
        (f"{OWN}/docker.io/library/python:3.9", f"{OWN}/docker.io/library/python:3.9"),
    ],
)
def test_the_copy_lives_under_the_source_registrys_name(image: str, target: str) -> None:
    assert parse(image).mirrored(OWN) == target


@pytest.mark.parametrize("registry", [OWN, ECR, MARKER, f"{MARKER}/team", "<<registry>>"])
@pytest.mark.parametrize("image", [row[0] for row in READ if MARKER not in row[0]])
def test_mirroring_twice_is_mirroring_once(image: str, registry: str) -> None:
    once = parse(image).mirrored(registry)
    assert parse(once).mirrored(registry) == once


@pytest.mark.parametrize("image", [row[0] for row in READ])
def test_the_repository_is_one_ecr_accepts_under_the_longest_prefix(image: str) -> None:
    name = f"{'p' * LONGEST_PREFIX}/{parse(image).mirrored_repository}"
    assert re.fullmatch(
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", name
    )
    assert len(name) <= 256


def test_an_over_long_repository_gets_a_short_name_of_its_own() -> None:
    first, second = (parse("quay.io/" + "a" * 250 + end) for end in ("b", "c"))
    assert first.mirrored_repository != second.mirrored_repository
    assert len(first.mirrored_repository) <= 256 - 1 - LONGEST_PREFIX
    assert parse("quay.io/" + "a" * 250 + "b:2").mirrored_repository == first.mirrored_repository


def test_different_sources_never_share_a_repository() -> None:
    names = {parse(row[0]).name for row in READ}
    assert len({parse(name).mirrored_repository for name in names}) == len(names)
    similar = [
        "reg.io:5000/x",
        "reg.io-5000/x",
        "port-5000/reg.io/x",
        "a.b/port-5000/reg.io/x",
        "MYHOST/x",
        "host/myhost/x",
        "myhost/x",
        "localhost:1/x",
        "localhost/x",
    ]
    assert len({parse(image).mirrored_repository for image in similar}) == len(similar)


def test_another_prefix_of_the_same_account_is_not_our_own_registry() -> None:
    assert not parse(f"{ECR}/kubeflow-other/x").belongs_to(OWN)
    assert not parse(f"{ECR}/kubeflow:1").belongs_to(OWN)
    assert parse(f"{ECR}/kubeflow/x").belongs_to(OWN)


@pytest.mark.parametrize("image", ["python:3.9", f"quay.io/x/y@{SHA}", "localhost/x:1"])
def test_the_source_can_be_read_back_from_the_copy(image: str) -> None:
    assert parse(parse(image).mirrored(OWN)).origin(OWN) == parse(image)


@pytest.mark.parametrize("image", [f"{OWN}/my-app:1", f"{OWN}/port-1/a.b/x:1", "quay.io/x/y"])
def test_an_image_of_our_own_has_no_source(image: str) -> None:
    assert parse(image).origin(OWN) is None


@pytest.mark.parametrize(
    ("image", "region"),
    [
        (f"{ECR}/x", "cn-north-1"),
        ("602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/pause", "us-west-2"),
        ("602401143452.dkr.ecr-fips.us-gov-west-1.amazonaws.com/x", "us-gov-west-1"),
        ("public.ecr.aws/x/y", None),
        ("evil.com/111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/x", None),
        ("111122223333.dkr.ecr.cn-north-1.evil.com/x", None),
        ("111122223333.dkr-ecr.us-west-2.on.aws/x", "us-west-2"),
        ("quay.io/x", None),
    ],
)
def test_a_private_ecr_registry_is_recognised_with_its_region(
    image: str, region: str | None
) -> None:
    assert parse(image).ecr_region == region
