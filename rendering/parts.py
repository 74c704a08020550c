"""``parts`` of ``release.yaml``: the objects that programs of this project name."""

from __future__ import annotations

from rendering.field_types import Name, ObjectName, Strict


class Part(Strict):
    """The objects of a part of Kubeflow that programs of this project name; empty: it is absent.

    Attributes:
        deployments: the first is the one whose pods and log answer for the part.
        stateful_sets: likewise, of a part that runs in one.
        container: in whose log the reasons are, where a pod has several.
        service: through which others reach it.
        config: the ConfigMap that its program reads.
        account: the ServiceAccount that it runs as, where others admit it by that.
    """

    deployments: tuple[ObjectName, ...] = ()
    stateful_sets: tuple[ObjectName, ...] = ()
    container: Name | None = None
    service: ObjectName | None = None
    config: ObjectName | None = None
    account: ObjectName | None = None

    @property
    def workloads(self) -> tuple[tuple[str, str], ...]:
        """Kind and ``namespace/name`` of all that runs."""
        return (
            *(("Deployment", name) for name in self.deployments),
            *(("StatefulSet", name) for name in self.stateful_sets),
        )

    @property
    def log(self) -> str:
        """The command that prints the log of its first workload.

        Raises:
            IndexError: the release has no such part.
        """
        kind, name = self.workloads[0]
        namespace, _, own = name.partition("/")
        container = f" --container {self.container}" if self.container else ""
        return f"`kubectl --namespace {namespace} logs {kind.lower()}/{own}{container}`"


class Parts(Strict):
    """The parts of Kubeflow whose objects programs of this project name, by what they do.

    Attributes:
        istio: the mesh's control plane.
        gateway: by which everybody enters.
        dex: the identity provider.
        login: its client, which asks every request for a session.
        dashboard: the first page.
        profiles: makes users' namespaces.
        notebooks: runs notebooks.
        notebook_form: the page that makes notebooks.
        volumes: the page of volumes.
        tensorboards: runs TensorBoards.
        pipelines: the API of Pipelines.
        pipelines_ui: its pages, and the proxy to artifacts.
        pipelines_persistence: writes the state of workflows into Pipelines' database.
        pipelines_profiles: what Pipelines has in each user's namespace.
        metacontroller: calls ``pipelines_profiles`` for each namespace.
        model_registry: the registry of models.
        model_registry_ui: its pages, and those of the catalog.
        model_catalog: the catalog of models.
        workflows: Argo's controller.
        metadata: ML Metadata's server.
        katib: its controller and webhooks.
        katib_database: what writes observations of trials.
        trainer: runs TrainJobs.
        training_operator: runs TFJobs, PyTorchJobs and others.
        spark: runs Spark applications.
        kserve: its controller and webhooks.
        knative: what scales servers.
        cert_manager: issues certificates.
        cert_manager_injector: writes authorities into webhook configurations.
        external_secrets: brings secrets from AWS.
        metrics: what autoscalers read.
    """

    istio: Part = Part()
    gateway: Part = Part()
    dex: Part = Part()
    login: Part = Part()
    dashboard: Part = Part()
    profiles: Part = Part()
    notebooks: Part = Part()
    notebook_form: Part = Part()
    volumes: Part = Part()
    tensorboards: Part = Part()
    pipelines: Part = Part()
    pipelines_ui: Part = Part()
    pipelines_persistence: Part = Part()
    pipelines_profiles: Part = Part()
    metacontroller: Part = Part()
    model_registry: Part = Part()
    model_registry_ui: Part = Part()
    model_catalog: Part = Part()
    workflows: Part = Part()
    metadata: Part = Part()
    katib: Part = Part()
    katib_database: Part = Part()
    trainer: Part = Part()
    training_operator: Part = Part()
    spark: Part = Part()
    kserve: Part = Part()
    knative: Part = Part()
    cert_manager: Part = Part()
    cert_manager_injector: Part = Part()
    external_secrets: Part = Part()
    metrics: Part = Part()

    @property
    def present(self) -> dict[str, Part]:
        """Those that the release has, by name."""
        parts: dict[str, Part] = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: part for name, part in parts.items() if part != Part()}
