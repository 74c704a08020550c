"""What each pool of Karpenter can cost while it is full, from its NodePool and EC2NodeClass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from costs.billing import HOURS, Plan
from regions import offers
from regions.machines import Machine, machines
from regions.price_list import Price, PriceList

_NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_GPU, _SLICE, _CPU = "nvidia.com/gpu", "nvidia.com/gpu.shared", "cpu"


@dataclass(frozen=True)
class Filling:
    """One way to fill a pool.

    Attributes:
        hour: what its machines and their disks cost.
        mix: ``8 x g5.16xlarge``.
        prices: of its machines.
    """

    hour: float
    mix: str
    prices: tuple[Price, ...]


@dataclass(frozen=True)
class PoolCost:
    """A full pool, at the prices on demand.

    Spot never costs more: that price is the default limit of a Spot request
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-requests.html, maximum price).

    Attributes:
        limit: of the pool, in ``resource`` (GPUs or vCPUs).
        capacity: on-demand, spot, reserved.
        most: the most expensive way to fill it of what has a price; None where nothing has one.
        least: the cheapest way to fill it as far as its machines allow.
        types: how many types it may choose.
        unpriced: those of them without a price.
        disks_priced: whether the prices include the disks of the nodes.
    """

    name: str
    currency: str
    resource: str
    limit: int
    capacity: tuple[str, ...]
    most: Filling | None
    least: Filling | None
    types: int
    unpriced: tuple[str, ...]
    disks_priced: bool

    @property
    def bounded(self) -> bool:
        """Whether ``most`` is a ceiling: every type it may choose has a price, and its disks."""
        return not self.unpriced and self.disks_priced

    @property
    def hour(self) -> float:
        """The most it can cost in an hour; 0 where that is unknown."""
        return self.most.hour if self.most else 0.0

    @property
    def day(self) -> float:
        """The most it can cost in a day."""
        return self.hour * 24

    @property
    def month(self) -> float:
        """The most it can cost in a month."""
        return self.hour * HOURS


def pools_of(plan: Plan, prices: PriceList) -> Iterator[PoolCost]:
    """Each pool of a plan, by name."""
    classes = {row["inputs"]["metadata"]["name"]: row["inputs"] for row in plan.of(_NODE_CLASS)}
    for row in sorted(plan.of(_NODE_POOL), key=lambda row: row["inputs"]["metadata"]["name"]):
        spec = row["inputs"]["spec"]
        template = spec["template"]["spec"]
        node_class = classes.get(template["nodeClassRef"]["name"], {})
        yield _pool(row["inputs"]["metadata"]["name"], spec, node_class, plan, prices)


def _pool(
    name: str, spec: Mapping[str, Any], node_class: Mapping[str, Any], plan: Plan, prices: PriceList
) -> PoolCost:
    requirements = spec["template"]["spec"]["requirements"]
    allowed = [
        machines()[each]
        for each in offers.names("instances", plan.region)
        if each in machines() and machines()[each].meets(requirements)
    ]
    limits = spec.get("limits", {})
    resource = _CPU if _CPU in limits else _GPU
    limit = int(limits.get(_CPU) or limits.get(_GPU) or _whole(limits, node_class, spec))
    disk = sum(
        float(str(each["ebs"]["volumeSize"]).removesuffix("Gi"))
        for each in node_class.get("spec", {}).get("blockDeviceMappings", ())
    )
    gp3 = prices.prices.get("ebs.gp3")
    disk_hour = disk * gp3.amount / HOURS if gp3 else 0.0
    options = [
        (size, prices.machines[each.name].amount + disk_hour, each)
        for each in allowed
        if each.name in prices.machines and (size := each.vcpus if resource == _CPU else each.gpus)
    ]
    capacity = next((each["values"] for each in requirements if "capacity-type" in each["key"]), ())
    return PoolCost(
        name,
        prices.currency,
        "vCPU" if resource == _CPU else "GPU",
        limit,
        tuple(capacity),
        _filled(options, limit, prices, max),
        _filled(options, limit, prices, min),
        len(allowed),
        tuple(each.name for each in allowed if each.name not in prices.machines),
        gp3 is not None,
    )


def _whole(
    limits: Mapping[str, Any], node_class: Mapping[str, Any], spec: Mapping[str, Any]
) -> int:
    """The GPUs of a limit in slices, by the slices that the device plugin makes of each GPU.

    Their number is in the label of the device plugin, or in the settings of an AMI with its own.
    """
    labels = spec["template"].get("metadata", {}).get("labels", {})
    found = str(labels.get("nvidia.com/device-plugin.config", "")).removeprefix("slices-")
    if not found:
        text = node_class.get("spec", {}).get("userData", "")
        found = text.partition("replicas = ")[2].partition("\n")[0] or "1"
    return int(limits.get(_SLICE, 0)) // int(found)


def _filled(
    options: Sequence[tuple[int, float, Machine]],
    limit: int,
    prices: PriceList,
    better: Callable[..., float],
) -> Filling | None:
    """The cheapest or the most expensive way to fill a pool within its limit.

    The cheapest one fills it as far as these machines allow; the most expensive one need not.
    """
    best = {size: (price, name) for size, price, name in _best(options, better)}
    sizes = sorted(best)
    total: list[float | None] = [0.0, *[None] * limit]
    last = [0] * (limit + 1)
    for amount in range(1, limit + 1):
        for size in sizes:
            before = total[amount - size] if size <= amount else None
            if before is not None:
                price, now = before + best[size][0], total[amount]
                if now is None or better(now, price) != now:
                    total[amount], last[amount] = price, size
    filled = [(price, amount) for amount, price in enumerate(total) if amount and price is not None]
    if not filled:
        return None
    price, amount = max(filled) if better is max else filled[-1]
    counts: dict[str, int] = {}
    while amount:
        name = best[last[amount]][1]
        counts[name] = counts.get(name, 0) + 1
        amount -= last[amount]
    names = sorted(counts, key=lambda name: (-counts[name], name))
    mix = " + ".join(f"{counts[name]} x {name}" for name in names)
    return Filling(price, mix, tuple(prices.machines[name] for name in names))


def _best(
    options: Sequence[tuple[int, float, Machine]], better: Callable[..., float]
) -> Iterator[tuple[int, float, str]]:
    """Of each size the best price, by name where two are equal."""
    for size in {size for size, _, _ in options}:
        of_size = [(price, machine.name) for each, price, machine in options if each == size]
        price = better(price for price, _ in of_size)
        yield size, price, min(name for each, name in of_size if each == price)
