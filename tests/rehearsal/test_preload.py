"""Which SDK modules are imported while the engine starts."""

from __future__ import annotations

from pathlib import Path

from rehearsal.preload import Preload, classes_of


def test_the_classes_a_project_names_are_found_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "components" / "room").mkdir(parents=True)
    (tmp_path / "__main__.py").write_text("aws.sqs.Queue('q'); aws.get_region()")
    (tmp_path / "program.py").write_text("aws.Provider('p')")
    (tmp_path / "components" / "x.py").write_text("k8s.core.v1.Namespace('n'); aws.none.Such()")
    (tmp_path / "components" / "room" / "y.py").write_text("eks.Cluster('c')")
    assert set(classes_of(tmp_path)) == {
        ("pulumi_aws.sqs", "Queue"),
        ("pulumi_aws", "Provider"),
        ("pulumi_kubernetes.core.v1", "Namespace"),
        ("pulumi_aws.none", "Such"),
        ("pulumi_eks", "Cluster"),
    }
    Preload(tmp_path).wait()  # a name that does not exist is the program's business
