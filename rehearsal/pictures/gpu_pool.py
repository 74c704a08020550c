"""A GPU machine that comes for a pod and goes after it, with the seconds that were measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rehearsal.pictures.canvas import (
    EDGE,
    GREY,
    MUTED,
    PAPER,
    RULE,
    SMALLEST,
    WIDTH,
    Canvas,
    Colour,
    Language,
    Words,
)
from rehearsal.pictures.colours import GPU
from rehearsal.pictures.facts import Facts, Pool

_SCENARIO = "one-trial"
_LINE, _TEXT, _STATE = 150, 174, WIDTH - EDGE - 44
"""Where the line of time, the texts and the machine stand."""


@dataclass(frozen=True)
class Measured:
    """Of one trial on an empty pool, in docs/elasticity.md.

    Attributes:
        claim: seconds from the pod to the NodeClaim.
        gone: seconds from the last trial's end to the end of the last machine.
        idle: how long a machine had to be empty in this scenario.
        date: of the measurement.
    """

    claim: str
    gone: str
    idle: str
    date: str


def measured(page: str) -> Measured:
    """What the page's table says.

    Raises:
        ValueError: the page no longer has one of the numbers.
    """
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| ")
    ]
    headings = next((row for row in rows if row[0] == "scenario"), [])
    cells = dict(zip(headings, next((r for r in rows if r[0] == _SCENARIO), []), strict=False))
    idle = re.search(rf"`consolidateAfter` is (\d+ s) in {_SCENARIO}", page)
    date = re.search(r"Measured on (\d{4}-\d\d-\d\d)", page)
    claim, gone = cells.get("pending to NodeClaim p50 / p99"), cells.get("last machine gone after")
    if not (claim and gone and idle and date):
        raise ValueError(f"the page has no measurement of {_SCENARIO} in the form expected here")
    return Measured(f"{float(claim.split()[0]):.1f} s", gone, idle[1], date[1])


@dataclass(frozen=True)
class _Moment:
    time: Words
    how: Words
    title: Words
    below: Words
    machine: str | None
    """The colour of the machine's icon; None: there is none."""


def gpu_pool(facts: Facts, seen: Measured, language: Language) -> str:
    """The picture of a plan, of its first GPU pool; of a plan without one a sentence."""
    canvas = Canvas(language)
    title: Words = ("A GPU from zero, and back to zero", "GPU 从零到有，再回到零")
    pool = next((pool for pool in facts.pools if pool.gpus), None)
    if pool is None:
        none: Words = ("This stack has no GPU pool.", "这个 stack 没有 GPU 节点池。")
        canvas.heading(title, none)
        return canvas.svg(title, none)
    unit = ("slices", "个切片") if pool.sliced else ("GPUs", "块 GPU")
    below: Words = (
        f"Pool {pool.name} of {facts.region.name}: never more than {pool.gpus} {unit[0]} at once.",
        f"{facts.region.name} 的 GPU 节点池 {pool.name}：同时最多 {pool.gpus} {unit[1]}。",
    )
    canvas.heading(title, below)
    canvas.pen.y += 18
    canvas.text(
        _STATE + 14,
        canvas.pen.y + 4,
        ("machine", "机器"),
        size=SMALLEST,
        colour=MUTED,
        anchor="middle",
    )
    canvas.pen.y += 18
    _moments(canvas, _of(pool, facts, seen))
    note: Words = (
        (
            f"Measured {seen.date} with the real Karpenter and scheduler on simulated machines; "
            "real ones take the time of EC2 and of the image in addition. docs/elasticity.md"
        ),
        (
            f"{seen.date} 实测：真实的 Karpenter 和调度器，模拟的机器；真实机器还要加上 EC2 启动和"
            "拉取镜像的时间。见 docs/elasticity.md"
        ),
    )
    canvas.pen.y = canvas.paragraph(
        EDGE + 4, canvas.pen.y + 14, WIDTH - 2 * EDGE - 8, note, size=SMALLEST, colour=MUTED
    )
    canvas.pen.y -= 10
    return canvas.svg(title, below)


def _of(pool: Pool, facts: Facts, seen: Measured) -> list[_Moment]:
    families, capacity = ", ".join(pool.families), ", ".join(pool.capacity)
    zones = len(facts.zones) or facts.subnets
    stays: Words = ("nothing is evicted", "不驱逐任何 Pod")
    moves: Words = ("machines with pods may be emptied too", "有 Pod 的机器也可能被腾空")
    end = moves if pool.evicts else stays
    simulated: Words = ("simulated here", "此处为模拟")
    real: Words = ("measured", "实测")
    return [
        _Moment(
            "0 s",
            "",
            (f"A pod requests {pool.resource}", f"Pod 申请 {pool.resource}"),
            (
                (
                    "No machine has one, so the pod is pending. A notebook, a trial and a pipeline "
                    "step do the same."
                ),
                "没有机器有 GPU，Pod 处于 Pending。notebook、Katib 试验、流水线步骤都一样。",
            ),
            None,
        ),
        _Moment(
            f"+{seen.claim}",
            real,
            ("Karpenter makes a NodeClaim", "Karpenter 创建 NodeClaim"),
            (
                (
                    f"for the cheapest machine that fits: {families}; {capacity}; in any of "
                    f"{zones} zones."
                ),
                f"选最便宜的合适机型：{families}；{capacity}；{zones} 个可用区均可。",
            ),
            "claimed",
        ),
        _Moment(
            ("1 to 2 min", "1 到 2 分钟"),
            simulated,
            ("EC2 starts the machine", "EC2 启动机器"),
            (
                (
                    f"with the driver in its image ({pool.ami.partition('@')[0]}); the device "
                    "plugin offers the GPU."
                ),
                f"系统镜像（{pool.ami.partition('@')[0]}）自带驱动，device plugin 登记 GPU。",
            ),
            "starting",
        ),
        _Moment(
            ("then", "随后"),
            "",
            ("The pod runs", "Pod 运行"),
            (
                "The next pod takes the same GPU as soon as it is free.",
                "GPU 一空出来，下一个 Pod 接着用同一台机器。",
            ),
            "running",
        ),
        _Moment(
            ("end", "结束"),
            "",
            ("The last pod ends", "最后一个 Pod 结束"),
            (
                f"The machine is empty and waits; {end[0]}.",
                f"机器空闲，开始等待；{end[1]}。",
            ),
            "idle",
        ),
        _Moment(
            f"+{pool.idle}",
            ("the setting", "设置值"),
            ("Karpenter removes it: zero again", "Karpenter 删除机器：回到零"),
            (
                (
                    f"Measured: gone {seen.gone} after the end, with {seen.idle} in place of "
                    f"{pool.idle}."
                ),
                f"实测：把 {pool.idle} 换成 {seen.idle} 时，结束 {seen.gone} 后机器消失。",
            ),
            None,
        ),
    ]


_COLOURS = {"claimed": "#9db37a", "starting": "#9db37a", "running": GPU.line, "idle": GREY.line}


def _moments(canvas: Canvas, moments: list[_Moment]) -> None:
    top, dots = canvas.pen.y + 20, []
    place = canvas.place()
    for moment in moments:
        y = canvas.pen.y
        canvas.text(_LINE - 22, y + 26, moment.time, bold=True, anchor="end")
        if moment.how:
            canvas.text(_LINE - 22, y + 46, moment.how, size=SMALLEST, colour=MUTED, anchor="end")
        most = _STATE - _TEXT - 16
        at = canvas.paragraph(_TEXT, y + 26, most, moment.title, bold=True)
        at = canvas.paragraph(_TEXT, at, most, moment.below, size=SMALLEST, colour=MUTED)
        if moment.machine:
            waiting = moment.machine in ("claimed", "starting")
            area = GPU.area if moment.machine == "running" else PAPER
            colour = Colour(_COLOURS[moment.machine], area)
            canvas.box(_STATE - 8, y + 8, 44, 44, colour, dashed=waiting)
            canvas.icon("gpu", _STATE - 1, y + 15, colour.line, size=30)
        else:
            canvas.text(_STATE + 14, y + 36, "0", size=22, bold=True, colour=MUTED, anchor="middle")
        dots.append(y + 20)
        canvas.pen.y = at + 4
    for y, moment in zip(dots, moments, strict=True):
        canvas.dot(_LINE, y, 8, GPU.line if moment.machine else GREY.line)
    # Below the dots: without a machine, and with one.
    canvas.line((_LINE, top), (_LINE, dots[1]), colour=RULE, thick=3, at=place)
    canvas.line((_LINE, dots[1]), (_LINE, dots[-1]), colour=GPU.line, thick=4, at=place)
