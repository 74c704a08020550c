"""What an account can launch: machines of each pool by zone, and quotas that would stop them.

Calls EC2 and Service Quotas with the session of the caller; read-only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.gpu.node_pools import Pool, pools_of
from ops.account_calls import CallFailed, Session, aws_call, client, quota_value
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from regions.machines import Machine
from regions.region import Region
from settings.errors import full_key, listed

ABOUT = "node pools"

STANDARD_QUOTA = ("L-1216C47A", "Running On-Demand Standard instances")
# Names and codes: service-quotas ListServiceQuotas of `ec2`, as written down in many public
# repositories (they are the same in every region); all of them count vCPUs.
_QUOTAS = {
    ("g", "on-demand"): ("L-DB2E81BA", "Running On-Demand G and VT instances"),
    ("g", "spot"): ("L-3819A6DF", "All G and VT Spot Instance Requests"),
    ("p", "on-demand"): ("L-417A185B", "Running On-Demand P instances"),
    ("p", "spot"): ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    ("p5", "spot"): ("L-C4BD4855", "All P5 Spot Instance Requests"),
    ("standard", "on-demand"): STANDARD_QUOTA,
    ("standard", "spot"): ("L-34B43A08", "All Standard Spot Instance Requests"),
}
# The families that these two count, by their full names: A, C, D, H, I, M, R, T and Z.
STANDARD = re.compile(r"(im|is|[acdhimrtz])\d.*")
# One filter takes 200 values (EC2 API reference, Filter); a family has about a dozen sizes.
_VALUES = 200


@dataclass(frozen=True)
class OfferedMachine(Machine):
    """One instance type of a pool, with the zones of the region that offer it."""

    zones: tuple[str, ...]


def pool_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Findings about every pool of a stack that names families, in the order of the pools.

    A pool without GPUs may name none, and every region has machines for it. A quota that cannot
    be read becomes a note.

    Args:
        stack: its settings and region.
        session: of its account, allowed to call ``ec2:DescribeInstanceTypes``,
            ``ec2:DescribeInstanceTypeOfferings`` and ``servicequotas:GetServiceQuota``.

    Raises:
        CallFailed: of EC2.
    """
    values: dict[str, float | None] = {}
    for pool in pools_of(stack.settings, stack.region):
        if not pool.families:
            continue
        with aws_call("ec2"):
            machines = _machines(client(stack.settings, session, "ec2"), pool)
        yield from _offered(pool, stack.region, machines)
        for capacity_type in pool.capacity_types:
            for (code, name), counted in _by_quota(capacity_type, machines).items():
                if code not in values:
                    try:
                        values[code] = quota_value(stack.settings, session, "ec2", code)
                    except CallFailed as failure:
                        values[code] = None
                        yield note(ABOUT, f"a quota was not checked: {failure}")
                value = values[code]
                if value is not None:
                    yield _sufficient(pool, f"{name} ({code})", value, counted)


def _machines(ec2: Any, pool: Pool) -> list[OfferedMachine]:
    """The instance types a pool may use that a zone of the region offers."""
    families = [f"{family}.*" for family in pool.families]
    described = {
        str(instance_type["InstanceType"]): instance_type
        for page in ec2.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": families}]
        )
        for instance_type in page["InstanceTypes"]
        if _fits(pool, instance_type)
    }
    names, zones = list(described), {name: list[str]() for name in described}
    for start in range(0, len(names), _VALUES):
        filters = [{"Name": "instance-type", "Values": names[start : start + _VALUES]}]
        pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone", Filters=filters
        )
        for page in pages:
            for offering in page["InstanceTypeOfferings"]:
                zones[offering["InstanceType"]].append(offering["Location"])
    return [
        OfferedMachine(
            name,
            described[name]["VCpuInfo"]["DefaultVCpus"],
            _gpus(described[name]),
            tuple(sorted(offered)),
        )
        for name, offered in zones.items()
        if offered
    ]


def _gpus(described: dict[str, Any]) -> int:
    gpus: list[dict[str, Any]] = described.get("GpuInfo", {}).get("Gpus", [])
    return sum(int(gpu.get("Count", 0)) for gpu in gpus)


def _fits(pool: Pool, described: dict[str, Any]) -> bool:
    """Whether a type has the GPUs a pool selects; names as Karpenter writes them (``a10g``)."""
    gpus: list[dict[str, Any]] = described.get("GpuInfo", {}).get("Gpus", [])
    if pool.has_gpus != bool(gpus):
        return False
    if not gpus:
        return True
    name = str(gpus[0].get("Name", "")).lower().replace(" ", "-")
    memory = int(gpus[0].get("MemoryInfo", {}).get("SizeInMiB", 0))
    return (
        (not pool.gpu_names or name in pool.gpu_names)
        and (not pool.gpu_counts or _gpus(described) in pool.gpu_counts)
        and memory >= (pool.min_gpu_memory_gb or 0) * 10**9 // 2**20
    )


def _offered(pool: Pool, region: Region, machines: Sequence[OfferedMachine]) -> Iterator[Finding]:
    zones: dict[str, set[str]] = {family: set() for family in pool.families}
    for machine in machines:
        zones[machine.family].update(machine.zones)
    offered = [
        f"{family} in {listed(sorted(zones[family]), 'and')}" for family in zones if zones[family]
    ]
    missing = [family for family in zones if not zones[family]]
    if not offered:
        path = ("gpuPool",) if pool.name == "gpu" else ("nodePools", pool.name)
        yield problem(
            ABOUT,
            f"{region.name} has no machine for the pool {pool.name}, which asks for "
            f"{listed(missing)}: name other families in {full_key((*path, 'instanceFamilies'))}",
        )
        return
    yield good(ABOUT, f"the pool {pool.name} has {'; '.join(offered)}")
    if missing:
        yield note(
            ABOUT,
            f"{region.name} has no machine of {listed(missing)} for the pool {pool.name}, which "
            "uses its other families",
        )
    if len(set().union(*zones.values())) == 1:
        yield note(
            ABOUT,
            f"only one zone has machines for the pool {pool.name}: without capacity there, the "
            "pool has none",
        )


def _by_quota(
    capacity_type: str, machines: Sequence[OfferedMachine]
) -> dict[tuple[str, str], list[OfferedMachine]]:
    """Code and name of each quota -> the machines it counts; none counts reservations."""
    counted: dict[tuple[str, str], list[OfferedMachine]] = {}
    for machine in machines:
        family = machine.family
        kinds = ("standard",) if STANDARD.fullmatch(family) else (family[:2], family[:1])
        quotas = (_QUOTAS.get((kind, capacity_type)) for kind in kinds)
        quota = next(filter(None, quotas), None)
        if quota is not None:
            counted.setdefault(quota, []).append(machine)
    return counted


def _sufficient(pool: Pool, quota: str, value: float, machines: list[OfferedMachine]) -> Finding:
    """Whether a quota allows the limit of a pool, packed as densely as these machines allow."""
    smallest = min(machines, key=lambda machine: machine.vcpus)
    if pool.max_gpus is None:
        vcpus = pool.max_cpus or 0
        need = f"the pool {pool.name} may have {vcpus}"
    else:
        densest = min(machines, key=lambda machine: machine.vcpus / machine.gpus)
        vcpus = -(-pool.max_gpus // densest.gpus) * densest.vcpus
        need = f"{pool.max_gpus} GPUs of the pool {pool.name} take at least {vcpus}"
    sentence = f"the quota {quota} is {value:g} vCPUs"
    way_out = f"ask for {max(vcpus, smallest.vcpus)} in Service Quotas"
    if value < smallest.vcpus:
        return problem(
            ABOUT,
            f"{sentence}, and the smallest machine of the pool {pool.name}, {smallest.name}, has "
            f"{smallest.vcpus}: {way_out}",
        )
    if value < vcpus:
        return note(ABOUT, f"{sentence}, and {need}: {way_out}")
    return good(ABOUT, f"{sentence}, enough for the pool {pool.name}")
