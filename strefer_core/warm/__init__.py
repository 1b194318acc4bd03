"""Warm worker processes: kept models, their weights, and what to do when a device or its memory fails."""
