"""The eight stages: pure functions from earlier results to a new one. See `strefer_core.pipeline`."""
