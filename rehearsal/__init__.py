"""The real engine on simulated clouds."""
