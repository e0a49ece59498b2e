"""CPU seconds of a training that may be broken off, and an end after so many."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np


class Budget(keras.callbacks.Callback):
    """Counts a training's CPU seconds over all its pieces, and ends it after so many.

    What a piece did after its last finished epoch is lost with it, and is not counted.

    Args:
        seconds: after how many the training ends.
        steps: or after how many steps.
        file: where the seconds of earlier pieces stand until the training is finished; None for a
            training in one piece.

    Attributes:
        earlier: seconds of earlier pieces.
        spent: seconds of all pieces so far.
    """

    def __init__(
        self, seconds: float = np.inf, *, steps: float | None = None, file: Path | None = None
    ) -> None:
        super().__init__()
        self.seconds, self.steps, self.file = seconds, steps or np.inf, file
        self.earlier = float(file.read_text()) if file is not None and file.exists() else 0.0
        self.spent = self.earlier

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._start = time.process_time()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts."""
        self.steps -= 1
        self._count()
        if self.steps <= 0 or self.spent >= self.seconds:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps what was spent."""
        self._count()
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(f"{self.spent:.1f}")

    def on_train_end(self, logs: Any = None) -> None:
        """A finished training leaves nothing to go on from."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _count(self) -> None:
        self.spent = self.earlier + time.process_time() - self._start
