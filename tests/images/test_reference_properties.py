"""What references and their copies promise for every image, not only for the ones in the table.

Hypothesis draws the same examples in every run, so that a failure is one for everybody.
"""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from images.reference import LONGEST_PREFIX, InvalidReference, Reference, parse
from webhook.copy_job import overrides

BOUNDED = settings(max_examples=100, deadline=None, derandomize=True, database=None)
ECR = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"

# Words that mean something in the name of a copy, where two sources could meet.
MEANT = ("host", "hashed", "port-80", "a", "localhost", "docker.io", "a.b", "library", ECR)

words = st.one_of(
    st.sampled_from(MEANT),
    st.from_regex(r"[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True),
    st.builds("a".__mul__, st.integers(1, 240)),
)
repositories = st.lists(words, min_size=1, max_size=4).map("/".join).filter(lambda r: len(r) <= 240)
hosts = st.one_of(
    st.sampled_from([word for word in MEANT if "." in word]),
    st.sampled_from(["localhost", "HOST", "PORT-80", "HASHED", "<<image.prefix>>"]),
    st.from_regex(
        r"[a-zA-Z0-9]{1,5}(?:-{1,2}[a-z0-9]{1,3})?(?:\.[a-z0-9]{1,5}){1,3}", fullmatch=True
    ),
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
)
ports = st.one_of(st.sampled_from([1, 80, 5000, 65535]), st.integers(1, 65535))
registries = st.one_of(
    hosts,
    st.tuples(hosts, ports)
    .filter(lambda pair: "<" not in pair[0])
    .map(lambda pair: f"{pair[0]}:{pair[1]}"),
)
names = st.one_of(
    words.map("library/{}".format),
    st.tuples(st.sampled_from(["host", "port-80", "hashed", "x__y"]), repositories).map("/".join),
    st.tuples(registries, repositories).map("/".join),
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
digests = st.from_regex(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}", fullmatch=True)
suffixes = st.one_of(
    st.just(""),
    tags.map(":{}".format),
    digests.map("@{}".format),
    st.tuples(tags, digests).map(lambda pair: f":{pair[0]}@{pair[1]}"),
)
references = st.tuples(names, suffixes).map(lambda pair: parse("".join(pair)))
prefixes = st.one_of(
    st.from_regex(r"[a-z]{1,9}(?:[._/-][a-z0-9]{1,9}){0,4}", fullmatch=True),
    st.just("p" * LONGEST_PREFIX),
)
own_registries = st.one_of(
    st.just(ECR),
    prefixes.map(lambda prefix: f"{ECR}/{prefix}"),
    st.sampled_from(["<<image.prefix>>", "<<image.prefix>>/team"]),
)
# Close to the grammar, so that many are nearly right; and anything at all.
texts = st.one_of(st.text("aA0.-_:/@[]<>٣\n", max_size=30), st.text(max_size=30))


def read_or_refused(text: str) -> Reference | None:
    try:
        return parse(text)
    except InvalidReference:
        return None


@BOUNDED
@given(references)
def test_a_reference_reads_as_itself(image: Reference) -> None:
    assert parse(str(image)) == image


@BOUNDED
@given(texts)
@example("a:00655360/x")
@example("a:000001" + "0" * 5000 + "/x")
def test_any_text_is_a_reference_that_reads_as_itself_or_is_refused(text: str) -> None:
    image = read_or_refused(text)
    assert image is None or parse(str(image)) == image


@BOUNDED
@given(references, own_registries)
@example(parse("q.io/" + "a" * 186), f"{ECR}/{'p' * LONGEST_PREFIX}")
def test_mirroring_twice_is_mirroring_once(image: Reference, registry: str) -> None:
    once = parse(image.mirrored(registry))
    assert once.belongs_to(registry)
    assert once.mirrored(registry) == str(once) == image.mirrored(registry)


@BOUNDED
@given(names, st.one_of(st.just(""), tags.map(":{}".format)), digests, own_registries)
def test_a_digest_is_kept_end_to_end(name: str, tag: str, digest: str, registry: str) -> None:
    copied = parse(parse(f"{name}{tag}@{digest}").mirrored(registry))
    assert copied.digest == digest
    assert copied.tag == (tag.removeprefix(":") or None)


@BOUNDED
@given(references, prefixes)
def test_what_is_copied_is_what_will_be_pulled(image: Reference, prefix: str) -> None:
    own = f"{ECR}/{prefix}"
    assume(not image.belongs_to(own))
    (variable,) = overrides([image], own)
    source, target = variable["value"].split(" ")
    assert parse(source) == image
    assert parse(target).name == parse(image.mirrored(own)).name


@BOUNDED
@given(st.lists(names.map(parse), min_size=2, max_size=8))
def test_two_sources_never_share_a_repository(images: list[Reference]) -> None:
    sources = {(image.registry, image.repository) for image in images}
    assert len({image.mirrored_repository for image in images}) == len(sources)


@pytest.mark.parametrize("port", ["", ":80"])
def test_sources_made_to_collide_do_not(port: str) -> None:
    spelled = [*MEANT, "HOST", "HASHED", "PORT-80", "A", "localhost:80", "[::1]", "[::1]:80"]
    firsts = [*spelled, *(f"{word}{port}" for word in spelled if ":" not in word)]
    paths = [
        "a",
        "host/a",
        "a.b/a",
        "port-80/a",
        "port-80/host/a",
        "docker.io/library/a",
        "host/x/a",
    ]
    images = [parse(f"{first}/{path}") for first in firsts for path in paths]
    sources = {(image.registry, image.repository) for image in images}
    assert len({image.mirrored_repository for image in images}) == len(sources)


@pytest.fixture(scope="module")
def repository_name() -> dict[str, Any]:
    """What the ECR service itself says a repository's name is."""
    model: Any = botocore.session.get_session().get_service_model("ecr")
    return model.shape_for("RepositoryName").metadata


@BOUNDED
@given(image=references, prefix=prefixes)
@example(image=parse("q.io/" + "a" * 185), prefix="p" * LONGEST_PREFIX)
@example(image=parse("q.io/" + "a" * 255), prefix="p" * LONGEST_PREFIX)
def test_every_copy_has_a_name_that_ecr_takes(
    repository_name: dict[str, Any], image: Reference, prefix: str
) -> None:
    name = f"{prefix}/{image.mirrored_repository}"
    assert repository_name["min"] <= len(name) <= repository_name["max"]
    assert re.fullmatch(repository_name["pattern"], name)


@BOUNDED
@given(references, prefixes)
def test_a_copy_is_traced_to_its_own_source_or_to_none(image: Reference, prefix: str) -> None:
    own = f"{ECR}/{prefix}"
    traced = parse(image.mirrored(own)).origin(own)
    assert traced in (None, image)
    if image.registry == "docker.io" and len(image.name) < 190:
        assert traced == image
