"""Detector, tracker and assigner that know the truth of a world video and err at given rates.

With them the cascades are measured apart from the models that they are made for.
"""

from strefer_core.backends.world.noise import Noise
from strefer_core.backends.world.perception import WorldPerception

__all__ = ["Noise", "WorldPerception"]
