"""Pack a folder of reference answers, as `generate/run_all.sh` writes it, into the archives beside this file.

    python tests/reference/pack.py FOLDER

FOLDER holds `cases/*.json`, `data/*.csv[.gz]` and `data/datasets.json`. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import lzma
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHAPE = ("n_rows", "package", "package_version", "notes")  # of a data set; its prose is in the package
COLUMN = ("name", "type", "levels")


def main(source: Path) -> None:
    """Replace the archives by what `source` holds."""
    for family, cases in read_cases(source / "cases").items():
        write(HERE / "cases" / f"{family}.json.xz", to_json(cases))
    for path in sorted([*(source / "data").glob("*.csv"), *(source / "data").glob("*.csv.gz")]):
        write(HERE / "data" / f"{path.name.split('.')[0]}.csv.xz", read_bytes(path))
    write(HERE / "data" / "datasets.json.xz", to_json(read_shapes(source / "data" / "datasets.json")))


def read_cases(folder: Path) -> dict[str, dict[str, Any]]:
    """Cases by family, the first word of a case's name."""
    families: dict[str, dict[str, Any]] = defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        families[path.stem.split("_")[0]][path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return families


def read_shapes(path: Path) -> dict[str, Any]:
    """Column types and level orders, which a CSV cannot say."""
    return {
        name: {key: known[key] for key in SHAPE}
        | {"columns": [{key: column[key] for key in COLUMN} for column in known["columns"]]}
        for name, known in json.loads(path.read_text(encoding="utf-8")).items()
    }


def read_bytes(path: Path) -> bytes:
    """The CSV itself, compressed or not."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def to_json(value: object) -> bytes:
    """Compact JSON; Python's shortest float form reads back to the same double."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write(path: Path, content: bytes) -> None:
    """Compress to `path`."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
