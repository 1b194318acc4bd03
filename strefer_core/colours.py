"""One colour per entity, the same in every picture and on every page."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]  # RGB


def entity_colour(index: int) -> Colour:
    """A bright colour per entity; neighbours in the list lie far apart (golden-ratio steps of hue)."""
    hue = (0.02 + index * 0.618034) % 1.0
    value = 1.0 if index % 2 == 0 else 0.85
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9, value)
    return round(red * 255), round(green * 255), round(blue * 255)
