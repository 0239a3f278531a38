"""Where a run is measured, what the processes it starts take of two modules counts as well.

Python imports this file at its start because tests/world.py puts its folder on the path. Slipcover comes with the
first of the two modules: a process that uses neither is not slowed down. One that is killed writes nothing.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ("jobs.supervisor", "jobs.prepare")  # run as processes; the rest runs in the tests' own


class Finder:
    """Finds the two as Python does, and has them measured."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """What the import system asks; None leaves it to the others."""
        spec = PathFinder.find_spec(name, path, target) if name in WHOLE else None
        if spec is not None:
            spec.loader = measured(spec)
        return spec


def measured(spec: ModuleSpec) -> Any:
    """A loader whose module writes down beside the run's own file, when the process ends, what was taken of it."""
    import ast
    import atexit
    import json

    from slipcover import Slipcover
    from slipcover.branch import preinstrument
    from slipcover.importer import SlipcoverLoader

    class Loader(SlipcoverLoader):
        def get_code(self, _name: str) -> Any:
            """For `python -m`, which runs a module without importing it."""
            tree = preinstrument(ast.parse(self.origin.read_bytes()))
            return self.sci.instrument(compile(tree, str(self.origin), "exec"))

    def write() -> None:
        place = ROOT / f"{os.environ['LIUKE_COVERAGE']}.{spec.name}.{os.getpid()}"
        place.write_text(json.dumps(cover.get_coverage()))

    # -1: probes are never taken out, for that needs a lock, and the supervisor runs code between fork and exec.
    excluded = os.environ["SLIPCOVER_EXCLUDE_LINES"].split("\n")
    cover = Slipcover(branch=True, d_miss_threshold=-1, exclude_lines=excluded)
    atexit.register(write)
    return Loader(cover, spec.loader, str(spec.origin))


sys.meta_path.insert(0, Finder)
