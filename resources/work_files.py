"""What runs leave on disk between their steps, and that it does not stay there.

Here: pickles of steps, and clearing what killed or finished runs left. Not here: what is in them.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import dagster as dg

# A run lasts two hours at most (dagster.yaml), and a person may start a failed one again the same day.
LEFT_OVER_SECONDS = 86_400.0


def clear_left_over(folder: Path) -> None:
    """Remove every folder in this one that nobody has touched for a day."""
    before = time.time() - LEFT_OVER_SECONDS
    for left in folder.iterdir() if folder.is_dir() else ():
        if left.is_dir() and left.stat().st_mtime < before:
            shutil.rmtree(left, ignore_errors=True)


class StepFiles(dg.FilesystemIOManager):
    """Values between the steps of a run, pickled below `base_dir`, a folder per run."""

    def create_io_manager(
        self, context: dg.InitResourceContext
    ) -> dg._core.storage.fs_io_manager.PickledObjectFilesystemIOManager:
        if self.base_dir is not None:
            clear_left_over(Path(self.base_dir))
        return super().create_io_manager(context)
