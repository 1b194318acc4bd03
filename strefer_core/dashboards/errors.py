"""What a page says when there is nothing to show."""

from __future__ import annotations

from strefer_core.errors import StreferError


class NotFound(StreferError):
    """What the address names is not in the catalog."""
