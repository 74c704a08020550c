"""What rewriting promises holds for every object that can be generated, not only for real ones.

With images planted in every spelling the table knows, and anything else around them, the result is
the same object with the copies planted instead. Hypothesis draws the same examples in every run, so
that a failure is one for everybody.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rendering.images import IMAGE_FIELDS, Registries, inventory, occurrences, rewrite
from rendering.objects import Object, spelled, strings

BOUNDED = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
REGISTRIES = ("<<image.prefix>>", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow")

names = st.from_regex(r"[a-z]{3,8}(?:[._-][a-z0-9]{1,4})?x", fullmatch=True)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
digests = st.from_regex(r"sha256:[a-f0-9]{64}", fullmatch=True)
suffixes = st.one_of(
    st.just(""),
    tags.map(":{}".format),
    digests.map("@{}".format),
    st.tuples(tags, digests).map(lambda pair: f":{pair[0]}@{pair[1]}"),
)
repositories = st.one_of(
    st.lists(names, min_size=1, max_size=2).map("/".join),
    st.tuples(
        st.sampled_from(["docker.io", "quay.io", "gcr.io", "public.ecr.aws", "registry.k8s.io"]),
        st.lists(names, min_size=2, max_size=3).map("/".join),
    ).map("/".join),
)
images = st.tuples(repositories, suffixes).map("".join)


def full(image: str) -> str:
    """The name in full, by the rules of Docker Hub (distribution/reference, normalize.go)."""
    host, slash, rest = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif "." not in host or not rest:
        image = f"docker.io/{image}"
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


Plant = Callable[[str], tuple[str, dict[str, Any]]]
"""An image to a kind and the piece of an object that holds it."""


def _container(key: str) -> Plant:
    return lambda image: ("Thing", {key: [{"name": "c"}, {"name": "d", "image": image}]})


def _arguments(key: str, joined: bool) -> Plant:
    def plant(image: str) -> tuple[str, dict[str, Any]]:
        flag = [f"--solver-image={image}"] if joined else ["--solver-image", image]
        return "Thing", {key: ["--v=2", *flag, "last"]}

    return plant


def _variable(image: str) -> dict[str, str]:
    return {"name": "DRIVER_IMAGE", "value": image}


def _text(pattern: str) -> Plant:
    return lambda image: ("ConfigMap", {"text": pattern.replace("IMAGE", image)})


PLANTS: tuple[Plant, ...] = (
    *(_container(f"{kind}ontainers") for kind in ("c", "initC", "ephemeralC")),
    _container("sidecars"),
    lambda image: ("Thing", {"container": {"image": image}}),
    lambda image: ("Thing", {"volumes": [{"image": {"reference": image, "pullPolicy": "Never"}}]}),
    lambda image: ("Image", {"image": image}),
    lambda image: ("Thing", {"annotations": {"sidecar.istio.io/proxyImage": image}}),
    lambda image: ("Thing", {"env": [{"name": "OTHER", "value": "a/b:1"}, _variable(image)]}),
    *(_arguments(key, joined) for key in ("args", "command") for joined in (True, False)),
    lambda image: ("ConfigMap", {"cacheImage": image}),
    _text("# image: not/this:one\na:\n- {image: 'IMAGE', b: c}  # the usual one\n"),
    _text('{"x": [{"image" : "IMAGE",\n  "y": 1}]}'),
    _text('spawnerFormDefaults:\n  image:\n    options:\n    - "IMAGE"\n'),
    _text("{{ if .x }}\n  - image: IMAGE\n{{ end }}\n"),
)

prose = st.one_of(st.text(max_size=30), images, images.map("see {} for more".format))
harmless_keys = st.sampled_from(
    ["name", "description", "labels", "imagePullPolicy", "imagePullSecrets", "images", "host"]
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), prose),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(harmless_keys, inner, max_size=3)
    ),
    max_leaves=8,
)
depths = st.lists(st.sampled_from(["template", "spec", "items", 0, 1]), max_size=6)


def planted(plant: Plant, image: str, depth: list[str | int], around: Any, note: str) -> Object:
    kind, piece = plant(image)
    thing: Object = {"apiVersion": "t.example/v1", "kind": kind, "metadata": {"name": "x"}}
    if kind == "ConfigMap":
        return thing | {"data": {"note": note, **piece}}
    body: Any = piece | {"around": around, "note": note}
    for step in depth:
        body = {step: body} if isinstance(step, str) else [around] * step + [body]
    return thing | {"spec": {"body": body}, "around": around}


def rewritten(thing: Object, registry: str) -> Object:
    moved = copy.deepcopy(thing)
    rewrite(moved, Registries(registry))
    return moved


@BOUNDED
@given(
    plant=st.sampled_from(PLANTS),
    image=images,
    depth=depths,
    around=anything,
    note=prose,
    registry=st.sampled_from(REGISTRIES),
)
def test_the_image_becomes_its_copy_and_nothing_else_changes(
    *, plant: Plant, image: str, depth: list[str | int], around: Any, note: str, registry: str
) -> None:
    before = planted(plant, image, depth, around, note)
    after = planted(plant, f"{registry}/{full(image)}", depth, around, note)
    assert rewritten(before, registry) == after
    assert rewritten(after, registry) == after
    assert [use.source for use in inventory([before])] == [full(image)]


def test_every_row_of_the_table_is_planted() -> None:
    found = {
        row
        for plant in PLANTS
        for thing in [planted(plant, "a/b:1", [], None, "")]
        for path, _ in occurrences(thing)
        for row in IMAGE_FIELDS
        if row[0].fullmatch(thing["kind"]) and row[1].fullmatch(spelled(path))
    }
    assert found == set(IMAGE_FIELDS)


def _variables(name: str, tag: str) -> Object:
    values = {"UI_IMAGE": name, "UI_TAG": tag}
    env = [{"name": key, "value": value} for key, value in values.items()]
    return {"kind": "Thing", "spec": {"env": env}}


def _kserve(name: str, tag: str) -> Object:
    text = f'{{"x": {{"image": "{name}", "defaultImageVersion": "{tag}"}}}}'
    return {"kind": "ConfigMap", "data": {"predictors": text}}


def _istio(name: str, tag: str) -> Object:
    hub, _, last = name.rpartition("/")
    text = f'{{"global": {{"hub": "{hub}", "tag": "{tag}"}}, "pilot": {{"image": "{last}"}}}}'
    return {"kind": "ConfigMap", "data": {"values": text}}


@BOUNDED
@given(
    st.sampled_from([_variables, _kserve, _istio]),
    st.lists(names, min_size=2, max_size=3).map("/".join).map("quay.io/{}".format),
    tags.filter(lambda tag: not tag.startswith(".")),
    st.sampled_from(REGISTRIES),
)
def test_an_image_in_two_parts_moves_and_its_tag_stays_where_it_is(
    plant: Callable[[str, str], Object], name: str, tag: str, registry: str
) -> None:
    moved = rewritten(plant(name, tag), registry)
    assert moved == plant(f"{registry}/{name}", tag)
    assert rewritten(moved, registry) == moved
    assert [use.source for use in inventory([plant(name, tag)])] == [f"{name}:{tag}"]


keys_of_pods = ["image", "containers", "container", "sidecars", "env", "name", "value", "args"]
keys_around = ["command", "spec", "data", "volumes", "reference", "annotations", "hub", "tag"]
telling_keys = st.sampled_from([*keys_of_pods, *keys_around, "defaultImageVersion"])
telling = st.one_of(
    prose,
    st.sampled_from(["--image", "--other", "THE_IMAGE", "THE_TAG", "$(IMAGE)", "{{ .image }}", ""]),
    images.map("--image={}".format),
    images.map("a: b\nimage: {}  # c\n".format),
    images.map('{{"image": "{}", "hub": "quay.io/x", "tag": "1"}}'.format),
)
hostile: st.SearchStrategy[Any] = st.recursive(
    telling,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(telling_keys, inner, max_size=4)
    ),
    max_leaves=15,
)


@BOUNDED
@given(
    st.sampled_from(["ConfigMap", "Secret", "Pod", "Thing"]),
    st.dictionaries(telling_keys, hostile, max_size=4),
    st.sampled_from(REGISTRIES),
)
def test_only_strings_that_hold_an_image_change_and_keep_their_digests(
    kind: str, body: dict[str, Any], registry: str
) -> None:
    before = {"apiVersion": "v1", "kind": kind, **body}
    after = rewritten(before, registry)
    assert rewritten(after, registry) == after
    holding = {path for path, _ in occurrences(before)}
    for (path, old), (same, new) in zip(strings(before), strings(after), strict=True):
        assert same == path
        assert (old == new) is (path not in holding)
        assert re.findall(r"sha256:\w+", new) == re.findall(r"sha256:\w+", old)
