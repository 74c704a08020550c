"""Images inside configuration text: a ConfigMap's YAML, JSON, or templates that are neither.

Text that parses is read by its structure, with the parser's position of each scalar; text that does
not (Go templates, examples) is read line by line. Either way the result is a span of the original
text, never a new rendering of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import yaml

from images.reference import InvalidReference, parse


@dataclass(frozen=True)
class Span:
    """An image in a text: the characters ``start`` to ``end``, plus ``suffix``, are ``image``.

    Attributes:
        start: index of the first character.
        end: index behind the last one.
        image: the whole reference.
        suffix: the end of ``image`` that stands elsewhere (``:1.29.0`` of a tag with its own key).
        listed: False for a registry alone, which moves with its images but is none itself.
    """

    start: int
    end: int
    image: str
    suffix: str = ""
    listed: bool = True


_IMAGE_KEY = re.compile(r"(?:[\w.-]*[a-z0-9_.-])?(?:[iI]mage|IMAGE)|IMAGE|(?:[\w.-]*[_-])image")
# KServe and KFServing, inferenceservice-config: the tag has a key of its own.
_VERSION_KEYS = ("defaultImageVersion", "defaultGpuImageVersion")
# jupyter-web-app: the notebook images of each image group.
_SPAWNER = re.compile(r"spawnerFormDefaults\.image(?:Group\w+)?\.(?:value|options\[\d+\])")

_LINE = re.compile(
    # At the start of a line or of a flow mapping; the value ends the line or its entry.
    r"""(?:^[ \t]*(?:-[ \t]+)*|[{,][ \t]*)["']?(?P<key>[\w.-]+)["']?[ \t]*:[ \t]*
        (?P<quote>["']?)(?P<image>[^\s"'{}$,\#`]+)(?P=quote)(?=[ \t]*(?:[,}\]]|$|\#))""",
    re.MULTILINE | re.VERBOSE,
)
_VERSION_LINE = re.compile(rf"""["']?(?:{"|".join(_VERSION_KEYS)})["']?\s*:\s*["']?([\w.-]+)""")
_NOT_IMAGES = frozenset({"true", "false", "null", "yes", "no", "on", "off", "none", "always"})
_LINES_TO_VERSION = 6


def is_image_key(key: str) -> bool:
    """Whether the value of a key is an image (``cacheImage``, ``queue-sidecar-image``)."""
    return _IMAGE_KEY.fullmatch(key) is not None


def plausible(text: str) -> bool:
    """Whether ``text`` can be an image, not a switch, a number or a template."""
    if not text or text.lower() in _NOT_IMAGES or "$" in text or text.startswith(("ko://", "<<<")):
        return False
    if text.replace(".", "").isdigit():
        return False
    try:
        parse(text)
    except InvalidReference:
        return False
    return True


def spans_of_text(text: str) -> list[Span]:
    """Every image in a configuration text, by position."""
    if "mage" not in text and "hub" not in text:
        return []
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        root = None
    if root is None or isinstance(root, yaml.ScalarNode):
        return list(_spans_of_lines(text, 0))
    return list(dict.fromkeys(_spans_of_node(text, root, "", _hub(root))))


def _spans_of_lines(text: str, offset: int) -> Iterator[Span]:
    for line in _LINE.finditer(text):
        image = line["image"]
        if not is_image_key(line["key"]) or not plausible(image) or _is_comment(text, line.start()):
            continue
        start, end = (offset + place for place in line.span("image"))
        following = "\n".join(text[line.end() :].split("\n", _LINES_TO_VERSION)[:-1])
        version = _VERSION_LINE.search(following.split("}", 1)[0])
        if version and ":" not in image.rpartition("/")[2]:
            suffix = f":{version[1]}"
            yield Span(start, end, image + suffix, suffix)
        else:
            yield Span(start, end, image)


def _is_comment(text: str, position: int) -> bool:
    return text[text.rfind("\n", 0, position) + 1 : position].lstrip().startswith("#")


def _spans_of_node(
    text: str, node: yaml.Node, path: str, hub: tuple[yaml.ScalarNode, str] | None
) -> Iterator[Span]:
    entries: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        entries = _entries(node)
        yield from _spans_of_hub(text, dict(entries).get("hub"))
        children = [(key, f"{path}.{key}" if path else key, child) for key, child in entries]
    else:
        items = cast("list[yaml.Node]", node.value)
        children = [("", f"{path}[{index}]", child) for index, child in enumerate(items)]
    for key, child_path, child in children:
        if not isinstance(child, yaml.ScalarNode):
            yield from _spans_of_node(text, child, child_path, hub)
        elif is_image_key(key):
            yield from _spans_of_value(text, child, entries, hub)
        else:
            yield from _spans_of_other(text, child, child_path)


def _spans_of_value(
    text: str,
    node: yaml.ScalarNode,
    siblings: list[tuple[str, yaml.Node]],
    hub: tuple[yaml.ScalarNode, str] | None,
) -> Iterator[Span]:
    image = cast("str", node.value)
    if hub and "/" not in image:
        # Istio: global.hub, global.tag and a bare name such as proxyv2.
        place = _position(text, hub[0])
        whole = f"{hub[0].value}/{image}:{hub[1]}"
        if place and image and plausible(whole):
            yield Span(*place, whole, f"/{image}:{hub[1]}")
        return
    place = _position(text, node)
    if not place or not plausible(image):
        return
    versions = [
        cast("str", child.value)
        for key, child in siblings
        if key in _VERSION_KEYS and isinstance(child, yaml.ScalarNode) and child.value
    ]
    if versions and ":" not in image.rpartition("/")[2]:
        for version in versions:
            yield Span(*place, f"{image}:{version}", f":{version}")
    else:
        yield Span(*place, image)


def _spans_of_other(text: str, node: yaml.ScalarNode, path: str) -> Iterator[Span]:
    value = cast("str", node.value)
    if _SPAWNER.fullmatch(path):
        place = _position(text, node)
        if place and plausible(value):
            yield Span(*place, value)
    elif "\n" in value and "mage" in value:
        # A file inside the file (JSON in a block scalar): its lines are lines of this text.
        start, end = _extent(node)
        yield from _spans_of_lines(text[start:end], start)


def _spans_of_hub(text: str, hub: yaml.Node | None) -> Iterator[Span]:
    """The registry of Istio's images, also where no image stands beside it."""
    if isinstance(hub, yaml.ScalarNode):
        place, suffix = _position(text, hub), "/any:tag"
        if place and "." in hub.value.partition("/")[0] and plausible(hub.value + suffix):
            yield Span(*place, hub.value + suffix, suffix, listed=False)


def _entries(node: yaml.MappingNode) -> list[tuple[str, yaml.Node]]:
    pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
    return [(str(key.value), child) for key, child in pairs]


def _hub(node: yaml.Node) -> tuple[yaml.ScalarNode, str] | None:
    """The first mapping, outermost first, with a hub and a tag: Istio's ``global``."""
    if isinstance(node, yaml.MappingNode):
        entries = _entries(node)
        scalars = {key: child for key, child in entries if isinstance(child, yaml.ScalarNode)}
        hub, tag = scalars.get("hub"), scalars.get("tag")
        if hub is not None and tag is not None and hub.value and tag.value:
            return hub, str(tag.value)
        return next(filter(None, (_hub(child) for _, child in entries)), None)
    return None


def _position(text: str, node: yaml.ScalarNode) -> tuple[int, int] | None:
    """The position of a scalar's value; None when it is not written literally (escapes, folds)."""
    start, end = _extent(node)
    if text[start : start + 1] in ("'", '"'):
        start, end = start + 1, end - 1
    return (start, end) if text[start:end] == node.value else None


def _extent(node: yaml.ScalarNode) -> tuple[int, int]:
    return cast("Any", node.start_mark).index, cast("Any", node.end_mark).index
