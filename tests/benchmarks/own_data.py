"""Data sets that do not ship with the package."""

import pytest


def read_or_skip(make):
    """What `make` gives, or a skipped test where its data set is not at hand."""
    try:
        return make()
    except (ValueError, FileNotFoundError) as error:
        pytest.skip(f"the data set does not ship with the package: {error}")
