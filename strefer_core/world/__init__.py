"""Rendered videos whose truth is known exactly."""
