"""One scenario: our NodePool at zero, trials, and what is seen of them."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from components.gpu.node_pools import GPU_RESOURCE, SLICE_RESOURCE
from rendering import Object
from tests.cluster.stand_ins import default_account
from tests.elasticity.cluster import ControlPlane
from tests.elasticity.pools import NODE_CLASS, chart_settings, on_kwok
from tests.elasticity.trials import Trial
from tests.elasticity.watching import PodLife, Record, record

_READY_SECONDS = 60


@dataclass(frozen=True)
class Scenario:
    """A namespace with trials, and the record of all that happens."""

    name: str
    plane: ControlPlane
    seen: Record
    pool: Object

    @property
    def limit(self) -> str:
        """What the NodePool allows: so many GPUs, or slices of them."""
        limits = self.pool["spec"]["limits"]
        return limits.get(GPU_RESOURCE) or f"{limits[SLICE_RESOURCE]} slices"

    def start(self, trials: Sequence[Trial]) -> None:
        """Creates all Jobs at once, as far as one client can."""
        jobs = [trial.job(self.name) for trial in trials]
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(self.plane.cluster.create, jobs))

    def run(self, trials: Sequence[Trial], *, parallel: int, seconds: float) -> None:
        """Starts the next trial when one has succeeded, as Katib's experiment controller does.

        Raises:
            AssertionError: they are not through within ``seconds``.
        """
        for started in range(parallel, len(trials) + 1):
            self.start(trials[:parallel] if started == parallel else [trials[started - 1]])
            enough = started - parallel + 1
            self.seen.until(
                lambda enough=enough: len(self._done()) >= enough, seconds, f"{enough} trials done"
            )
        self.all_done(len(trials), seconds)

    def all_done(self, count: int, seconds: float) -> None:
        """Waits until so many trials have succeeded."""
        self.seen.until(lambda: len(self._done()) >= count, seconds, f"{count} trials done")

    def running(self, trial: Trial, seconds: float = 60) -> PodLife:
        """Waits for the trial's pod to run."""
        self.seen.until(
            lambda: any(pod.phase == "Running" for pod in self.pods_of(trial)),
            seconds,
            f"{trial.name} runs",
        )
        return next(pod for pod in self.pods_of(trial) if pod.phase == "Running")

    def moved(self, trial: Trial, first: PodLife, seconds: float = 90) -> None:
        """Waits for the trial to run in another pod than its first."""
        self.seen.until(
            lambda: any(
                pod.name != first.name and pod.phase == "Running" for pod in self.pods_of(trial)
            ),
            seconds,
            f"{trial.name} is moved",
        )

    def pods_of(self, trial: Trial) -> list[PodLife]:
        return [p for p in list(self.seen.pods.values()) if p.name.startswith(f"{trial.name}-")]

    def at_zero(self, seconds: float) -> None:
        """Waits until no machine is left."""
        self.seen.until(lambda: not self.seen.standing, seconds, "no machine left")

    def _done(self) -> list[PodLife]:
        return [pod for pod in self.seen.pods.values() if pod.phase == "Succeeded"]


@contextmanager
def scenario(
    plane: ControlPlane,
    name: str,
    pool: Object,
    *,
    also: Iterable[Object] = (),
    on: Mapping[str, bool] | None = None,
    sold_out: Collection[str] = (),
) -> Generator[Scenario]:
    """Runs Karpenter with one of our NodePools until the end of the block, then clears it all up.

    Args:
        name: of the namespace, unlike any other's.
        pool: as rendered for EC2.
        also: more objects for Karpenter, such as NodeOverlays.
        on: feature gates other than the stack's.
        sold_out: zones that have no machine left.
    """
    cluster = plane.cluster
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.apply(namespace)
    cluster.apply(default_account(name))
    with ExitStack() as running:
        seen = running.enter_context(record(cluster.kubeconfig, name, plane.folder))
        told = chart_settings()
        told["featureGates"] = {**told["featureGates"], **(on or {})}
        running.enter_context(plane.karpenter(name, told, sold_out=sold_out))
        made = Scenario(name, plane, seen, pool)
        for obj in (NODE_CLASS, *also, on_kwok(pool)):
            cluster.apply(obj)
        seen.until(lambda: _ready(seen, pool), _READY_SECONDS, "the NodePool is ready")
        try:
            yield made
        finally:
            cluster.delete(f"/apis/batch/v1/namespaces/{name}/jobs")
            for obj in (on_kwok(pool), *also):
                cluster.delete(f"{cluster.collection(obj)}/{obj['metadata']['name']}")
            seen.until(lambda: not seen.standing, _READY_SECONDS, "the pool's machines are gone")


def _ready(seen: Record, pool: Object) -> bool:
    found = seen.pools.get(pool["metadata"]["name"], {})
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
