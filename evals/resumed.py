"""A run that was killed goes on where it was, unless anything it depends on changed."""

import hashlib
import json
import shutil
from pathlib import Path

from duetto import version


def code(*rooms: str) -> bytes:
    """A digest of the modules in these folders of the package: other code may give other figures."""
    digest = hashlib.sha256()
    for room in rooms:
        for module in sorted((Path(version.__file__).parent / room).glob("**/*.py")):
            digest.update(module.read_bytes())
    return digest.digest()


def pieces(task: str, folder: Path) -> Path:
    """The folder of finished pieces, emptied unless they belong to this very task."""
    mark, parts = folder / "run.json", folder / "parts"
    same = json.dumps({"task": task})
    folder.mkdir(parents=True, exist_ok=True)
    if not mark.is_file() or mark.read_text(encoding="utf-8") != same:
        shutil.rmtree(parts, ignore_errors=True)
        mark.write_text(same, encoding="utf-8")
    parts.mkdir(exist_ok=True)
    return parts
