"""Perception without weights: recogniser, detector, tracker and assigner from motion, colour and outline."""

from __future__ import annotations

from strefer_core.backends.classical.perception import ClassicalPerception

__all__ = ["ClassicalPerception"]
