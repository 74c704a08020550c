"""Everything that differs by partition or region, with its dated tables; no Pulumi."""
