"""GPU nodes on demand: Karpenter, its pools and prices, the software of the nodes."""

from components.gpu.karpenter_gpu_pool import KarpenterGpuPool, KarpenterGpuPoolArgs

__all__ = ["KarpenterGpuPool", "KarpenterGpuPoolArgs"]
