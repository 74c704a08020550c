"""Every place where an image stands is found and rewritten, and nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from images.reference import parse
from rendering.images import ImageUse, Registries, inventory, occurrences, rewrite
from rendering.objects import Object, strings

REGISTRY = "<<image.prefix>>"
COPIED = Registries(REGISTRY)
DIGEST = "sha256:" + "0123456789abcdef" * 4


def obj(kind: str = "Thing", **rest: Any) -> Object:
    return {
        "apiVersion": "t.example/v1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n"},
        **rest,
    }


def config(**data: str) -> Object:
    return obj("ConfigMap", data=data)


def pod(**container: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", **container}]}


ISTIO = """{
  "global": {
    "hub": "gcr.io/istio-release",
    "tag": "1.28.0",
    "proxy": {"image": "proxyv2", "logLevel": "warning"},
    "proxy_init": {"image": "proxyv2"}
  },
  "pilot": {"image": "pilot"}
}"""

KATIB = """runtime:
  suggestions:
    # the random one
    - algorithmName: random
      image: ghcr.io/kubeflow/katib/suggestion-hyperopt:v0.19.0
    - {algorithmName: tpe, image: "ghcr.io/kubeflow/katib/suggestion-hyperopt:v0.19.0"}
"""

SPAWNER = """spawnerFormDefaults:
  allowCustomImage: true
  imagePullPolicy:
    value: IfNotPresent
  image:
    value: kubeflownotebookswg/jupyter-scipy:v1.7.0
    options:
    - kubeflownotebookswg/jupyter-scipy:v1.7.0
    - ghcr.io/kubeflow/jupyter-pytorch:v1.10.0
  imageGroupOne:
    value: codercom/code-server:v1
  cpu:
    value: "0.5"
"""

EXAMPLE = """# explainers in the old spelling, in text that is no YAML
 explainers: |-
   {
       "art": {
           # image contains the default uri: docker.io/kserve/not-this:one
           "image" : "kserve/art-explainer",

           "defaultImageVersion": "v0.11"
       }
   }
agent: |-
  { "image" : "kserve/agent:v0.16.0",
    "ingressGateway" : "knative-serving/knative-ingress-gateway"
 }
  "image" : "kserve/router:v0.16.0",
"""

INJECTOR = """templates:
  sidecar: |
    {{- if .Values.x }}
    containers:
    - image: "{{ .ProxyImage }}"
      imagePullPolicy: "{{ .Values.global.imagePullPolicy }}"
    - image: busybox:1.28
{{ end }}
"""

TABLE: list[tuple[Object, list[str]]] = [
    (obj(spec={"template": {"spec": pod(image="busybox")}}), ["docker.io/library/busybox:latest"]),
    (obj(spec={"a": [{"b": pod(image="quay.io/a/b:1")}]}), ["quay.io/a/b:1"]),
    (obj(spec={"initContainers": [{"image": "a/b:1"}]}), ["docker.io/a/b:1"]),
    (obj(spec={"sidecars": [{"image": "a/b:1"}]}), ["docker.io/a/b:1"]),
    (obj("ClusterStorageContainer", spec={"container": {"image": "a/b:1"}}), ["docker.io/a/b:1"]),
    (
        obj("ClusterServingRuntime", spec={"workerSpec": pod(image="a/b:1")}),
        ["docker.io/a/b:1"],
    ),
    (obj("Image", spec={"image": f"gcr.io/q/queue@{DIGEST}"}), [f"gcr.io/q/queue@{DIGEST}"]),
    (obj(spec={"volumes": [{"image": {"reference": "a/b:1"}}]}), ["docker.io/a/b:1"]),
    (
        obj(spec=pod(env=[{"name": "V2_DRIVER_IMAGE", "value": "ghcr.io/k/driver:2"}])),
        ["ghcr.io/k/driver:2"],
    ),
    (
        obj(
            spec=pod(
                env=[
                    {"name": "FRONTEND_IMAGE", "value": "ghcr.io/k/frontend"},
                    {"name": "FRONTEND_TAG", "value": "2.16.0"},
                ]
            )
        ),
        ["ghcr.io/k/frontend:2.16.0"],
    ),
    (obj(spec=pod(env=[{"name": "RELATED_IMAGE_A", "value": "a/b:1"}])), ["docker.io/a/b:1"]),
    (obj(spec=pod(args=["--executor-image", "quay.io/a/exec:v3"])), ["quay.io/a/exec:v3"]),
    (
        obj(spec=pod(args=["--v=2", "--acme-http01-solver-image=quay.io/j/solver:v1"])),
        ["quay.io/j/solver:v1"],
    ),
    (obj(spec=pod(command=["run", "--image=a/b:1"])), ["docker.io/a/b:1"]),
    (config(cacheImage="ghcr.io/containerd/busybox"), ["ghcr.io/containerd/busybox:latest"]),
    (
        config(TENSORBOARD_IMAGE="tensorflow/tensorflow:2.5.1"),
        ["docker.io/tensorflow/tensorflow:2.5.1"],
    ),
    (config(**{"queue-sidecar-image": f"gcr.io/q/queue@{DIGEST}"}), [f"gcr.io/q/queue@{DIGEST}"]),
    (
        config(**{"katib-config.yaml": KATIB}),
        ["ghcr.io/kubeflow/katib/suggestion-hyperopt:v0.19.0"],
    ),
    (
        config(**{"spawner_ui_config.yaml": SPAWNER}),
        [
            "docker.io/codercom/code-server:v1",
            "docker.io/kubeflownotebookswg/jupyter-scipy:v1.7.0",
            "ghcr.io/kubeflow/jupyter-pytorch:v1.10.0",
        ],
    ),
    (
        config(localModel='{"defaultJobImage" : "kserve/storage-initializer:v0.16.0"}'),
        ["docker.io/kserve/storage-initializer:v0.16.0"],
    ),
    (
        config(
            predictors='{"tf": {"image": "tensorflow/serving", "defaultImageVersion": "1.14.0", '
            '"defaultGpuImageVersion": "1.14.0-gpu"}}'
        ),
        ["docker.io/tensorflow/serving:1.14.0", "docker.io/tensorflow/serving:1.14.0-gpu"],
    ),
    (
        config(_example=EXAMPLE),
        [
            "docker.io/kserve/agent:v0.16.0",
            "docker.io/kserve/art-explainer:v0.11",
            "docker.io/kserve/router:v0.16.0",
        ],
    ),
    (
        config(values=ISTIO),
        ["gcr.io/istio-release/pilot:1.28.0", "gcr.io/istio-release/proxyv2:1.28.0"],
    ),
    (config(config=INJECTOR), ["docker.io/library/busybox:1.28"]),
    (
        config(
            outer='inner: |\n  {"image": "a/b:1"\n  }\nother: ünïcödé\nlast: {image: \'c/d:2\'}\n'
        ),
        ["docker.io/a/b:1", "docker.io/c/d:2"],
    ),
]


@pytest.mark.parametrize(("thing", "images"), TABLE)
def test_images_are_found(thing: Object, images: list[str]) -> None:
    assert [use.source for use in inventory([thing])] == images


@pytest.mark.parametrize(("thing", "images"), TABLE)
def test_every_one_is_rewritten_once_and_for_all(thing: Object, images: list[str]) -> None:
    moved = copy.deepcopy(thing)
    rewrite(moved, COPIED)
    assert all(COPIED.stays(parse(span.image)) for _, span in occurrences(moved))
    uses = inventory([moved], COPIED)
    assert [use.source for use in uses] == images
    assert [use.target for use in uses] == [f"{REGISTRY}/{image}" for image in images]
    again = copy.deepcopy(moved)
    rewrite(again, COPIED)
    assert again == moved


@pytest.mark.parametrize(("thing", "images"), TABLE)
def test_text_changes_nowhere_but_in_its_images(thing: Object, images: list[str]) -> None:
    assert images
    moved = copy.deepcopy(thing)
    rewrite(moved, COPIED)
    for (path, before), (same, after) in zip(strings(thing), strings(moved), strict=True):
        assert path == same
        # Taking the registry away again gives the text back, but for names that grew complete.
        restored = after.replace(f"{REGISTRY}/docker.io/library/", "").replace(f"{REGISTRY}/", "")
        assert plain(restored) == plain(before)


def plain(text: str) -> str:
    return text.replace("docker.io/", "").replace(":latest", "")


@pytest.mark.parametrize(
    "thing",
    [
        obj(spec={"image": ""}),
        obj(spec=pod(image="$(IMAGE)")),
        obj(spec=pod(image="{{ .Values.image }}")),
        obj(spec=pod(env=[{"name": "IMAGE_PULL_POLICY", "value": "always/never"}])),
        obj(spec=pod(env=[{"name": "OTHER", "value": "a/b:1"}])),
        obj(spec=pod(args=["--image-pull-policy", "a/b:1"])),
        obj(spec=pod(args=["--image", "--other"])),
        obj(spec=pod(args=["a/b:1"])),
        config(image="ko://knative.dev/serving/cmd/queue"),
        config(readme="the image: docker.io/a/b:1 is fine"),
        config(a="# image: docker.io/a/b:1\nb: c\n"),
        config(a="image: $VOLUME_VIEWER_IMAGE\n"),
        config(a="allowCustomImage: true\nhideImage: false\nimagePullPolicy: Always\n"),
        config(a='{"ingressGateway": "kubeflow/kubeflow-gateway", "image": 3.5}'),
        config(a="hub:\n- a/b\ntag: 1\n"),
        obj("Secret", stringData={"image": "a/b:1"}),
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "x"},
            "spec": {"containers": [{"image": "a/b:1"}]},
        },
    ],
)
def test_what_is_no_image_is_left_alone(thing: Object) -> None:
    before = copy.deepcopy(thing)
    rewrite(thing, COPIED)
    assert thing == before
    assert inventory([thing]) == ()


def test_knatives_checked_examples_are_left_alone() -> None:
    thing = config(_example="image: a/b:1\n")
    thing["metadata"]["annotations"] = {"knative.dev/example-checksum": "12345678"}
    assert not list(occurrences(thing))


def test_registries_of_the_region_need_no_copy() -> None:
    own = "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn"
    thing = obj(spec=pod(image=f"{own}/eks/coredns:v1"))
    registries = Registries(REGISTRY, in_region=[own])
    (use,) = inventory([thing], registries)
    assert use.source == use.target == f"{own}/eks/coredns:v1"
    rewrite(thing, registries)
    assert thing["spec"]["containers"][0]["image"] == f"{own}/eks/coredns:v1"


@pytest.mark.parametrize(
    ("image", "moved"),
    [
        ("quay.io/a/b:1", True),
        (f"quay.io/a/b:1@{DIGEST}", True),
        ("quay.io.example.com/a/b:1", False),
        ("quay.io:5000/a/b:1", False),
        ("docker.io/a/b:1", False),
        ("gcr.io/quay.io/b:1", False),
        (f"quay.io/{'a' * 200}:1", False),  # its copy could not be called so
    ],
)
def test_a_registry_that_serves_only_some_others_gets_their_images_alone(
    image: str, moved: bool
) -> None:
    thing = obj(spec=pod(image=image))
    expected = f"{REGISTRY}/{image}" if moved else image
    registries = Registries(REGISTRY, cached=["quay.io"])
    (use,) = inventory([thing], registries)
    assert (use.source, use.target) == (image, expected)
    rewrite(thing, registries)
    assert thing["spec"]["containers"][0]["image"] == expected


def test_an_image_that_no_object_names_moves_likewise() -> None:
    registries = Registries(REGISTRY, cached=["quay.io"])
    moved = [
        ImageUse.known(image, "a program", "feature", registries).target
        for image in ("quay.io/a/b:1", "gcr.io/a/b:1")
    ]
    assert moved == [f"{REGISTRY}/quay.io/a/b:1", "gcr.io/a/b:1"]


@pytest.mark.parametrize("registry", [REGISTRY, "1.dkr.example/kubeflow", "host:5000/p"])
def test_a_digest_stays_with_its_tag(registry: str) -> None:
    thing = obj(spec=pod(image=f"quay.io/a/b:1@{DIGEST}"))
    rewrite(thing, Registries(registry))
    assert thing["spec"]["containers"][0]["image"] == f"{registry}/quay.io/a/b:1@{DIGEST}"


def test_one_image_in_two_places_is_one_line_of_the_inventory() -> None:
    things = [obj(spec=pod(image="a/b:1")), obj("Image", spec={"image": "docker.io/a/b:1"})]
    (use,) = inventory(things)
    assert use.where == ("Image n/x#spec.image", "Thing n/x#spec.containers[c].image")


def test_a_place_names_list_items_and_counts_the_nameless() -> None:
    variable = {"name": "A_IMAGE", "value": "a/b:1"}
    thing = obj(spec=pod(env=[variable], args=["--x", "--image=a/b:1"]))
    (use,) = inventory([thing])
    assert use.where == (
        "Thing n/x#spec.containers[c].args[1]",
        "Thing n/x#spec.containers[c].env[A_IMAGE].value",
    )
