"""Sample outputs: the values that simulated providers compute, by resource type."""
