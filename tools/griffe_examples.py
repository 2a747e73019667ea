"""Griffe extension: an ``Example:`` section is code, as ``Examples:`` is.

Griffe knows the plural only; the singular would be shown as a note with its ``>>>`` as quotations.
"""

from __future__ import annotations

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Names the section by its plural while the site is built."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section in one object's docstring."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
