"""What an account can launch: machines of each pool by zone, and quotas that would stop them.

Asks EC2 and Service Quotas through the session it is given, and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from components.gpu.node_pools import Pool, pools_of
from ops.account_calls import Session, client
from ops.checks import Finding, Level, Subject
from regions.region import Region
from settings.errors import full_key, listed
from webhook.claims import error_code

ABOUT = "node pools"

# Names and codes: service-quotas ListServiceQuotas of `ec2`, as written down in many public
# repositories (they are the same in every region); all of them count vCPUs.
_QUOTAS = {
    ("g", "on-demand"): ("L-DB2E81BA", "Running On-Demand G and VT instances"),
    ("g", "spot"): ("L-3819A6DF", "All G and VT Spot Instance Requests"),
    ("p", "on-demand"): ("L-417A185B", "Running On-Demand P instances"),
    ("p", "spot"): ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    ("p5", "spot"): ("L-C4BD4855", "All P5 Spot Instance Requests"),
    ("standard", "on-demand"): ("L-1216C47A", "Running On-Demand Standard instances"),
    ("standard", "spot"): ("L-34B43A08", "All Standard Spot Instance Requests"),
}
# The families that these two count, by their full names: A, C, D, H, I, M, R, T and Z.
_STANDARD = re.compile(r"(im|is|[acdhimrtz])\d.*")
# One filter takes 200 values (EC2 API reference, Filter); a family has a good dozen of sizes.
_VALUES = 200


@dataclass(frozen=True)
class Machine:
    """One instance type of a pool; ``zones`` are those of the region that offer it."""

    name: str
    vcpus: int
    gpus: int
    zones: tuple[str, ...]

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


def pool_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Findings about every pool of a stack that names families, in the pools' order.

    A pool without GPUs may name none, and every region has machines for it.

    Args:
        stack: its settings and region.
        session: of its account. Needs
            ``ec2:DescribeInstanceTypes``, ``ec2:DescribeInstanceTypeOfferings`` and
            ``servicequotas:GetServiceQuota``; what it may not ask becomes a note.
    """

    region = stack.region
    quotas: dict[str, float | None] = {}
    for pool in pools_of(stack.settings, region):
        if not pool.families:
            continue
        try:
            machines = _machines(client(stack, session, "ec2"), pool)
        except (ClientError, BotoCoreError) as error:
            yield _unasked("ec2:DescribeInstanceTypeOfferings", error)
            return
        yield from _offered(pool, region, machines)
        for kind in pool.capacity_types:
            for (code, name), usable in _by_quota(kind, machines).items():
                if code not in quotas:
                    try:
                        quotas[code] = _quota(client(stack, session, "service-quotas"), code)
                    except (ClientError, BotoCoreError) as error:
                        quotas[code] = None
                        yield _unasked(f"servicequotas:GetServiceQuota of {code}", error)
                value = quotas[code]
                if value is not None:
                    yield _enough(pool, code, name, value, usable)


def _unasked(call: str, error: Exception) -> Finding:
    # Only AWS's short code is told: its sentence may quote a request.
    told = f"AWS does not answer {call} ({error_code(error)}), so this was not looked at"
    return Finding(Level.NOTE, ABOUT, told)


def _machines(ec2: Any, pool: Pool) -> list[Machine]:
    """The instance types a pool may use, as far as one of the region's zones offers them."""
    families = [f"{family}.*" for family in pool.families]
    described = [
        found
        for page in ec2.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": families}]
        )
        for found in page["InstanceTypes"]
        if _fits(pool, found)
    ]
    names = [str(found["InstanceType"]) for found in described]
    zones: dict[str, list[str]] = {name: [] for name in names}
    for start in range(0, len(names), _VALUES):
        asked = [{"Name": "instance-type", "Values": names[start : start + _VALUES]}]
        pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone", Filters=asked
        )
        for page in pages:
            for offering in page["InstanceTypeOfferings"]:
                zones[offering["InstanceType"]].append(offering["Location"])
    return [
        Machine(
            name=found["InstanceType"],
            vcpus=found["VCpuInfo"]["DefaultVCpus"],
            gpus=_gpus(found),
            zones=tuple(sorted(zones[found["InstanceType"]])),
        )
        for found in described
        if zones[found["InstanceType"]]
    ]


def _gpus(described: dict[str, Any]) -> int:
    return sum(int(gpu.get("Count", 0)) for gpu in _gpu_list(described))


def _gpu_list(described: dict[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", described.get("GpuInfo", {}).get("Gpus", []))


def _fits(pool: Pool, described: dict[str, Any]) -> bool:
    """Whether a type has the GPUs a pool asks for; names as Karpenter writes them (``a10g``)."""
    gpus = _gpu_list(described)
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


def _offered(pool: Pool, region: Region, machines: Sequence[Machine]) -> Iterator[Finding]:
    where: dict[str, set[str]] = {family: set() for family in pool.families}
    for machine in machines:
        where[machine.family].update(machine.zones)
    found = {family: sorted(zones) for family, zones in where.items() if zones}
    missing = [family for family, zones in where.items() if not zones]
    if not found:
        yield Finding(
            Level.PROBLEM,
            ABOUT,
            f"{region.name} has no machine for the pool {pool.name}, which asks for "
            f"{listed(missing)}: name other families in {_families_key(pool)}",
        )
        return
    told = "; ".join(f"{family} in {listed(zones, 'and')}" for family, zones in found.items())
    yield Finding(Level.GOOD, ABOUT, f"the pool {pool.name} has {told}")
    if missing:
        yield Finding(
            Level.NOTE,
            ABOUT,
            f"{region.name} has no machine of {listed(missing)} for the pool {pool.name}, which "
            "goes on with the others",
        )
    if len(set().union(*where.values())) == 1:
        yield Finding(
            Level.NOTE,
            ABOUT,
            f"only one zone has machines for the pool {pool.name}: without capacity there, there "
            "is none",
        )


def _families_key(pool: Pool) -> str:
    path = ("gpuPool",) if pool.name == "gpu" else ("nodePools", pool.name)
    return full_key((*path, "instanceFamilies"))


def _by_quota(
    capacity_type: str, machines: Sequence[Machine]
) -> dict[tuple[str, str], list[Machine]]:
    """The quota each machine is counted in; reservations are in none of these."""
    found: dict[tuple[str, str], list[Machine]] = {}
    for machine in machines:
        for kind in _kinds(machine.family):
            quota = _QUOTAS.get((kind, capacity_type))
            if quota is not None:
                found.setdefault(quota, []).append(machine)
                break
    return found


def _kinds(family: str) -> tuple[str, ...]:
    return ("standard",) if _STANDARD.fullmatch(family) else (family[:2], family[:1])


def _quota(service_quotas: Any, code: str) -> float:
    answer = service_quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
    return float(answer["Quota"]["Value"])


def _enough(pool: Pool, code: str, name: str, value: float, machines: list[Machine]) -> Finding:
    """What a quota leaves of a pool's limit, packed as densely as these machines allow."""
    smallest = min(machines, key=lambda machine: machine.vcpus)
    if pool.max_gpus is None:
        wanted = pool.max_cpus or 0
        need = f"the pool {pool.name} may have {wanted}"
    else:
        densest = min(machines, key=lambda machine: machine.vcpus / machine.gpus)
        wanted = -(-pool.max_gpus // densest.gpus) * densest.vcpus
        need = f"{pool.max_gpus} GPUs of the pool {pool.name} take {wanted} at least"
    quota = f"the quota {name} ({code}) is {value:g} vCPUs"
    ask = f"ask for {max(wanted, smallest.vcpus)} in Service Quotas"
    if value < smallest.vcpus:
        return Finding(
            Level.PROBLEM,
            ABOUT,
            f"{quota}, and the smallest machine of the pool {pool.name}, {smallest.name}, has "
            f"{smallest.vcpus}: {ask}",
        )
    if value < wanted:
        return Finding(
            Level.NOTE,
            ABOUT,
            f"{quota}, and {need}: {ask}",
        )
    return Finding(Level.GOOD, ABOUT, f"{quota}, enough for the pool {pool.name}")
