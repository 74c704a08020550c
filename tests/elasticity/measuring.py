"""What a record says: waiting times, GPUs and money over time, and what an ideal packing takes."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.elasticity.catalogue import Catalogue
from tests.elasticity.trials import Trial
from tests.elasticity.watching import ClaimLife, Record

Steps = list[tuple[float, float]]
"""Values over time: from each second on, the value."""


@dataclass(frozen=True)
class Waits:
    """Seconds from a trial's pod to the NodeClaim it got; for pods that had to wait for one."""

    count: int
    p50: float
    p99: float


def waits(record: Record, catalogue: Catalogue) -> Waits | None:
    """None: no pod waited for a machine.

    A machine is made for as many pods as have a GPU on it; whoever comes after them, beyond the
    pool's limit, waits for another's end and not for a NodeClaim.
    """
    found: list[float] = []
    for machine in record.machines:
        here = sorted(
            (pod for pod in record.pods.values() if pod.node == machine.node),
            key=lambda pod: pod.bound or 0,
        )
        first = here[: catalogue.types[machine.instance_type].gpus]
        found += [machine.created - pod.created for pod in first if pod.created <= machine.created]
    found.sort()
    if not found:
        return None
    last = min(len(found) - 1, round(0.99 * (len(found) - 1)))
    return Waits(len(found), statistics.median(found), found[last])


def by_type(machines: Iterable[ClaimLife]) -> dict[str, int]:
    return dict(sorted(Counter(claim.instance_type for claim in machines).items()))


def over_time(spans: Iterable[tuple[float, float | None, float]], end: float) -> Steps:
    """The sum of the values of all spans (from, to, value) at each moment one begins or ends."""
    changes: defaultdict[float, float] = defaultdict(float)
    for start, stop, value in spans:
        changes[start] += value
        changes[end if stop is None else stop] -= value
    total, steps = 0.0, [(0.0, 0.0)]
    for at in sorted(changes):
        total += changes[at]
        steps.append((at, total))
    return steps


def gpus(record: Record, catalogue: Catalogue) -> Steps:
    """GPUs of machines that are paid for."""
    return over_time(
        ((m.launched or 0, m.gone, catalogue.types[m.instance_type].gpus) for m in record.machines),
        record.now,
    )


def cost(record: Record, catalogue: Catalogue) -> Steps:
    """CNY per hour."""
    return over_time(
        (
            (m.launched or 0, m.gone, catalogue.price(m.instance_type, m.capacity_type))
            for m in record.machines
        ),
        record.now,
    )


def pending(record: Record) -> Steps:
    """Pods that no node has yet."""
    return over_time(
        ((pod.created, pod.bound or pod.deleted, 1) for pod in record.pods.values()), record.now
    )


def standing(record: Record) -> Steps:
    return over_time(((m.launched or 0, m.gone, 1) for m in record.machines), record.now)


def peak(steps: Steps) -> float:
    return max(value for _, value in steps)


def area(steps: Steps) -> float:
    """Value times seconds."""
    return sum(value * (later - at) for (at, value), (later, _) in pairwise(steps))


def last_gone_after(record: Record) -> float:
    """Seconds from the end of the last trial to the end of the last machine.

    Raises:
        ValueError: a machine is still there.
    """
    ends = [machine.gone for machine in record.machines]
    if None in ends:
        raise ValueError("a machine is still there")
    return max(end for end in ends if end is not None) - _last_end(record)


def _last_end(record: Record) -> float:
    return max(pod.ended or pod.deleted or 0 for pod in record.pods.values())


def gpu_seconds_while_working(record: Record, catalogue: Catalogue) -> float:
    """GPU-seconds of all machines up to the end of the last trial.

    What follows is the wait of ``consolidateAfter`` and Karpenter's own rounds: the same half a
    minute however long the trials are, and promised apart from this.
    """
    done = _last_end(record)
    return area([(at, value) for at, value in gpus(record, catalogue) if at < done] + [(done, 0)])


def ideal_gpu_seconds(trials: Sequence[Trial]) -> float:
    """GPU-seconds of an ideal packing: every GPU is busy from its launch to its last end."""
    return sum((trial.takes or 0) * trial.amount for trial in trials)
