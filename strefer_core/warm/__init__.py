"""Warm worker processes: models that stay loaded, their weights, and what to do when memory or a device fails."""
