"""The way of an image: from the name in a pod to the machine that runs it."""

from __future__ import annotations

from rehearsal.pictures.canvas import (
    EDGE,
    GREY,
    MUTED,
    PAPER,
    SMALLEST,
    WIDTH,
    Canvas,
    Colour,
    Entry,
    Language,
    Words,
    width_of,
)
from rehearsal.pictures.colours import BORDER, CLUSTER, KUBEFLOW, MIRROR
from rehearsal.pictures.facts import Facts

_X = EDGE + 36
_STEPS = WIDTH - _X - EDGE - 44
"""Between the numbers and the way around."""
_AROUND = WIDTH - EDGE - 16
_GAP = 30
_EXAMPLE = "pytorch-mnist"
"""Part of the name of the image that is followed: that of Katib's example."""


def image_path(facts: Facts, language: Language) -> str:
    """The picture of a plan."""
    canvas = Canvas(language)
    title: Words = ("How an image reaches a machine", "镜像怎样到达机器")
    region = facts.region.name
    below: Words = (f"As planned for {region}.", f"按 {region} 的计划绘制。")
    if facts.images:
        below = (
            (
                f"{len(facts.images)} images of the platform go this way before any pod needs "
                f"them, during pulumi up; {region}."
            ),
            f"平台自身的 {len(facts.images)} 个镜像在 pulumi up 期间就已复制好；区域 {region}。",
        )
    canvas.heading(title, below)
    canvas.pen.y += 14
    _Path(canvas, facts).draw()
    return canvas.svg(title, below)


class _Path:
    """Steps below each other, and the way around those that are needed once."""

    def __init__(self, canvas: Canvas, facts: Facts) -> None:
        self._canvas = canvas
        self._facts = facts
        self._number = 0
        self._source = next((i for i in facts.images if _EXAMPLE in i), "") or next(
            iter(facts.images), "ghcr.io/kubeflow/katib/pytorch-mnist-cpu"
        )

    def draw(self) -> None:
        """From the pod to the machine, by what the plan has."""
        facts = self._facts
        self._step(
            "box", KUBEFLOW, ("A pod names an image", "Pod 里写着镜像名"), names=(self._source,)
        )
        if not facts.mirrored:
            self._gap()
            direct: Words = ("The node pulls it from there", "节点直接从原仓库拉取")
            self._step("machine", CLUSTER, direct)
            return
        self._gap()
        self._webhook()
        self._gap()
        if facts.build is None:
            self._cached()
        else:
            self._copied()
        self._gap()
        pulls: Words = ("The node pulls from ECR", "节点从 ECR 拉取")
        private: Words = (
            "inside the VPC, by its endpoints for ECR and S3",
            "经由 ECR 和 S3 的终端节点，不出 VPC",
        )
        self._step("machine", CLUSTER, pulls, private if facts.endpoints[0] else "")

    def _webhook(self) -> None:
        pods = self._facts.webhook_pods
        title: Words = ("A webhook writes the name of the copy", "webhook 把它改成副本的名字")
        who: Words = ("a Lambda function behind API Gateway", "API Gateway 之后的 Lambda 函数")
        if pods:
            who = (
                f"image-mirror in the cluster, {pods} pods",
                f"集群里的 image-mirror，{pods} 个 Pod",
            )
        registry = self._facts.registry
        copy = f"{registry}/{self._source}".split("/", 1) if registry else []
        names = (f"{copy[0]}/", copy[1]) if copy else ()
        self._step("shield", MIRROR, title, who, names=names)

    def _cached(self) -> None:
        title: Words = ("ECR fetches it at the first pull", "首次拉取时由 ECR 获取")
        below: Words = (
            f"pull-through cache of {self._facts.caches} registries",
            f"{self._facts.caches} 个公共仓库的拉取缓存",
        )
        self._step("globe", MIRROR, title, below)

    def _copied(self) -> None:
        canvas, facts = self._canvas, self._facts
        build = facts.build
        if build is None:
            return
        sides = (facts.region.partition, build.region.partition)
        middle = self._question()
        y = canvas.pen.y
        no: Words = ("no: once per image", "没有：每个镜像只需一次")
        canvas.text(_X + _STEPS / 2 + 14, y + 20, no, size=SMALLEST, colour=MUTED)
        self._gap()
        claims: Words = ("One copy is started", "启动一次复制")
        table: Words = (
            f"a row in DynamoDB ({facts.copies_table}), then a Lambda function",
            f"先在 DynamoDB（{facts.copies_table}）登记一行，再由 Lambda 启动",
        )
        self._step("table", MIRROR, claims, table)
        self._crossing(
            ("access key 1: may start this project", "访问密钥 1：只能启动这个项目"), *sides
        )
        title: Words = (
            f"CodeBuild in {build.region.name} copies",
            f"{build.region.name} 的 CodeBuild 复制",
        )
        host = self._source.partition("/")[0]
        below: Words = (
            f"from {host}, by digest, and checks each image",
            f"从 {host} 按 digest 读取，并逐个核对",
        )
        self._step("code", MIRROR, title, below)
        self._crossing(
            ("access key 2: may push below one prefix", "访问密钥 2：只能写一个前缀"), *sides[::-1]
        )
        there: Words = ("The copy is in ECR", "副本进入 ECR")
        again: Words = (
            "the kubelet has tried again since, and finds it",
            "kubelet 一直在重试，此时就能拉到",
        )
        self._step("box", MIRROR, there, again)
        end = canvas.pen.y + _GAP + 30
        # From the question around to the last step.
        canvas.line((_X + _STEPS, middle), (_AROUND, middle), (_AROUND, end), colour=GREY.line)
        canvas.arrow((_AROUND, end), (_X + _STEPS, end), colour=GREY.line)

    def _question(self) -> float:
        """Whether there is a copy; the height of its middle."""
        canvas, y = self._canvas, self._canvas.pen.y
        asks: Words = ("Is the copy in ECR?", "ECR 里有副本吗？")
        canvas.box(_X + 60, y, _STEPS - 120, 44, Colour(MIRROR.line, MIRROR.area), round_=22)
        canvas.text(_X + _STEPS / 2, y + 28, asks, bold=True, anchor="middle")
        middle = y + 22
        canvas.line((_X + _STEPS - 60, middle), (_X + _STEPS, middle), colour=GREY.line)
        canvas.text(
            _X + _STEPS - 30,
            middle - 8,
            ("yes", "有"),
            size=SMALLEST,
            colour=MUTED,
            anchor="middle",
        )
        canvas.pen.y = y + 44
        return middle

    def _crossing(self, key: Words, above: str, below: str) -> None:
        """From one partition to the other, with a key of the other."""
        canvas, top = self._canvas, self._canvas.pen.y
        if not self._facts.border:
            self._gap()
            return
        y, end = top + 28, top + 72
        canvas.arrow((_X + 24, top), (_X + 24, end), colour=GREY.line)
        canvas.line((EDGE, y), (WIDTH - EDGE, y), colour=BORDER.line, thick=2.5, dash="10 6")
        label: Words = ("border between partitions", "分区边界")
        wide = width_of(canvas.say(label), SMALLEST) + 24
        left = _X + 40
        canvas.box(left, y - 15, wide, 30, BORDER, round_=15)
        canvas.text(
            left + wide / 2, y + 5, label, size=SMALLEST, colour=BORDER.line, anchor="middle"
        )
        canvas.text(_X + 40, y + 34, key, size=SMALLEST, colour=MUTED)
        for at, side in ((y - 9, above), (y + 21, below)):
            canvas.text(_X + _STEPS, at, side, size=SMALLEST, colour=BORDER.line, anchor="end")
        canvas.pen.y = end

    def _gap(self) -> None:
        canvas, y = self._canvas, self._canvas.pen.y
        x = _X + _STEPS / 2
        canvas.arrow((x, y), (x, y + _GAP), colour=GREY.line)
        canvas.pen.y = y + _GAP

    def _step(
        self,
        icon: str,
        colour: Colour,
        title: Words,
        below: Words = "",
        *,
        names: tuple[str, ...] = (),
    ) -> None:
        self._number += 1
        canvas, y = self._canvas, self._canvas.pen.y
        canvas.dot(EDGE + 16, y + 22, 14, colour.line)
        canvas.text(EDGE + 16, y + 27, str(self._number), bold=True, colour=PAPER, anchor="middle")
        lines = (below,) if below else ()
        entry = Entry(icon, colour, title, (*lines, *names))
        canvas.pen.y += canvas.entry(_X, _STEPS, entry)
