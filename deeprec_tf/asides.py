"""What a model keeps beside itself without owning it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras import Model
else:
    Model = object


class Asides(Model):
    """Keeps things at hand that are no part of the model; a part of `RecModel`.

    Keras saves and loads whatever it finds among the attributes that `dir` gives: other models,
    also those in lists, whose weights do not belong in the file. (Loading even goes round for
    ever where such a model leads back to this one.)
    """

    _aside: frozenset[str] = frozenset()

    def keep_aside(self, name: str, value: Any) -> None:
        """Sets an attribute that is neither tracked nor saved."""
        object.__setattr__(self, name, value)
        object.__setattr__(self, "_aside", self._aside | {name})

    def __dir__(self) -> list[str]:
        """The attributes, without what is kept aside."""
        return [name for name in super().__dir__() if name not in self._aside]
