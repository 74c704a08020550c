"""What a stack costs, from the rows of its plan and dated price tables; pure, without network."""

from costs.change import ChangedLine, CostChange
from costs.cost import Cost, CostLine, FirstCopy, PoolCost, cost_of

__all__ = ["ChangedLine", "Cost", "CostChange", "CostLine", "FirstCopy", "PoolCost", "cost_of"]
