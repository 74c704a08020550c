"""The EKS cluster: its network, control plane, nodes, add-ons and storage."""

from components.cluster.eks_cluster import EksCluster, EksClusterArgs

__all__ = ["EksCluster", "EksClusterArgs"]
