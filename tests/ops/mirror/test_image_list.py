"""A file of images: what is read as one, and the sentence for what is not."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from ops.cli_errors import Refused
from ops.mirror import image_list
from ops.mirror.plan import Copy

REGISTRY = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def copies(text: str, **locked: str) -> list[Copy]:
    lines = image_list.read(text, "images.txt")
    return image_list.copies(lines, REGISTRY, locked, None, "images.txt")


def test_a_line_names_a_source_and_where_its_copy_belongs() -> None:
    (copy,) = copies(f"# made by the plan\n\nquay.io/a/b:v1 -> {REGISTRY}/x/y:v1")
    assert (str(copy), str(copy.target)) == ("quay.io/a/b:v1", f"{REGISTRY}/x/y:v1")
    assert copy.digest is None


def test_a_source_alone_gets_the_name_that_the_stack_gives_its_copy() -> None:
    text = f"quay.io/a/b:v1\nnginx\nquay.io/a/c:v1 -> {REGISTRY}/c:v1\n"
    assert {str(copy): str(copy.target) for copy in copies(text)} == {
        "quay.io/a/b:v1": f"{REGISTRY}/quay.io/a/b:v1",
        "docker.io/library/nginx:latest": f"{REGISTRY}/docker.io/library/nginx:latest",
        "quay.io/a/c:v1": f"{REGISTRY}/c:v1",
    }


def test_comments_line_ends_and_repeated_lines_change_nothing() -> None:
    text = "# a list\r\nquay.io/a/b:v1   # the first\r\n\r\n\tquay.io/a/b:v1\r\n  # end"
    assert list(map(str, copies(text))) == ["quay.io/a/b:v1"]


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + b"quay.io/a/b:v1\r\n",
        codecs.BOM_UTF16_LE + "quay.io/a/b:v1\r\n".encode("utf-16-le"),
        b"quay.io/a/b:v1",
    ],
)
def test_what_editors_put_before_a_text_is_no_part_of_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)
    assert list(map(str, copies(image_list.text_of(file)))) == ["quay.io/a/b:v1"]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "image.tar"
    file.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(Refused, match="cannot be read: it is not text"):
        image_list.text_of(file)


def test_images_that_are_in_ecr_need_no_copy() -> None:
    other = "999999999999.dkr.ecr.cn-north-1.amazonaws.com.cn/x:1"
    assert copies(f"{REGISTRY}/quay.io/a/b:v1\n{other}\n") == []


def test_a_pinned_source_gets_the_tag_of_its_digest_and_not_its_own() -> None:
    for line in (f"quay.io/a/b:v1@{A}", f"quay.io/a/b:v1@{A} -> {REGISTRY}/quay.io/a/b:v1@{A}"):
        (copy,) = copies(line)
        assert str(copy.target) == f"{REGISTRY}/quay.io/a/b:digest-sha256-{'a' * 64}"
        assert copy.digest == A


def test_the_lock_tells_the_digest_of_what_names_only_a_tag() -> None:
    (copy,) = copies("quay.io/a/b:v1", **{"quay.io/a/b:v1": B})
    assert copy.digest == B


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\n-> reg.example.com/a", "line 2: `-> reg.example.com/a` has only one side: write an"),
        ("quay.io/a:v1 ->", "line 1: `quay.io/a:v1 ->` has only one side: write an image"),
        (
            "quay.io/A:v1",
            "line 1: 'quay.io/A:v1' has the repository 'A', which must be lower",
        ),
        (f"quay.io/a:v1 -> r.example.com/a@{A}", "has a digest that its source does not have."),
        (
            "quay.io/a/b:v1 -> reg.example.com/x:v1\nquay.io/a/c:v1 -> reg.example.com/x:v1",
            "line 2: reg.example.com/x:v1 is also the target of quay.io/a/b:v1: give each",
        ),
        ("# nothing", "images.txt names no image: write an image reference, or `source -> target`"),
        (
            "docker pull quay.io/a/b:v1",
            "`docker pull quay.io/a/b:v1` is a command: write the reference alone, `quay.io/",
        ),
        ("FROM python:3.12 AS base", "is a command: write the reference alone, `python:3.12`."),
        ("crane copy quay.io/a:1 r.io/a:1", "is a command: write an image reference, or"),
        ("$ docker pull nginx", "`$ docker pull nginx` is a command: write an image reference"),
        (
            "image: quay.io/a/b:v1",
            "`image: quay.io/a/b:v1` is YAML: write the reference alone, `quay.io/a/b:v1`.",
        ),
        ("images:", "`images:` is YAML: write an image reference, or `source -> target`"),
        ("- quay.io/a/b:v1", "is an item of a list: write the reference alone, `quay.io/a/b:v1`."),
        ("  - image: 'quay.io/a/b:v1'", "is an item of a list: write the reference alone, `quay."),
        (
            '"quay.io/a/b:v1",',
            "has quotes or brackets: write the reference alone, `quay.io/",
        ),
        ("https://quay.io/a/b", "is a URL: write an image reference, or"),
        ("quay.io/a:v1 quay.io/b:v1", "has more than one word: write an image reference, or"),
        ("quay.io/a:v1,quay.io/b:v1", "has more than one word: write an image reference, or"),
        ("x" * 300 + " y", f"`{'x' * 80}...` has more than one word"),
    ],
)
def test_a_line_that_says_something_else_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        copies(text)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith("images.txt")
    assert "\n" not in str(refused.value)
