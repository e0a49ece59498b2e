"""Griffe extension: reads the house's docstring headings as the sections Griffe knows."""

import re

import griffe

_HEADINGS = {
    "Example": "Examples",  # rendered as code
    "Call arguments": "Other Parameters",
}
_PATTERN = re.compile(rf"^(\s*)({'|'.join(_HEADINGS)}):$", re.MULTILINE)


class HouseHeadings(griffe.Extension):
    """Turns `Example:` into `Examples:` and `Call arguments:` into `Other Parameters:`."""

    def on_instance(self, *, obj, **kwargs):
        """Rewrites the headings of one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _PATTERN.sub(
                lambda match: f"{match[1]}{_HEADINGS[match[2]]}:", obj.docstring.value
            )
