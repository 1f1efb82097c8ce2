"""Where does each engine live? In a virtual environment with pinned versions, made when first wanted."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engines import OURS, Engine

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = HERE / ".cache"  # left out of the repository


def fingerprint(paths: Iterable[Path]) -> str:
    """A short name for the contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def built_from(path: Path) -> bool:
    """Whether a wheel of multilevel is built from this file."""
    return path.is_file() and path.suffix not in {".so", ".pyc"} and ".mypy_cache" not in path.parts


def sources(tree: Path) -> list[Path]:
    """What a wheel of multilevel is built from."""
    files = [tree / name for name in ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE")]
    found = (path for folder in ("core", "src") for path in (tree / folder).rglob("*"))
    return [*files, *filter(built_from, found)]


def new_environment(folder: Path, packages: Iterable[str]) -> Path:
    """Make a virtual environment, or take the one already there, and return its Python."""
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        print(f"Making the environment {folder.relative_to(CACHE)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        ready.touch()
    return python


@cache
def our_environment(tree: Path = ROOT) -> Path:
    """The Python of an environment with the wheel built from this tree, as `pip install` builds it.

    It is built from a copy, so that neither edits nor other builds of the tree come in between.
    """
    requirements = HERE / str(OURS.requirements)
    files = sources(tree)
    name = f"{OURS.name}-{fingerprint([requirements, *files])}"
    with TemporaryDirectory() as copy:
        for path in files:
            target = Path(copy) / path.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        return new_environment(CACHE / name, ["-r", str(requirements), copy])


@cache
def has_r_package(name: str) -> bool:
    """Whether the machine's R has a package."""
    if shutil.which("Rscript") is None:
        return False
    found = subprocess.run(["Rscript", "-e", f"library({name})"], capture_output=True, check=False)
    return found.returncode == 0


@cache
def interpreter(engine: Engine) -> list[str] | None:
    """The program that runs an engine's worker; None where the machine does not have the R package."""
    if engine.in_r:
        return ["Rscript"] if has_r_package(engine.name) else None
    if engine == OURS:
        return [str(our_environment())]
    requirements = HERE / str(engine.requirements)
    folder = CACHE / f"{engine.name}-{fingerprint([requirements])}"
    return [str(new_environment(folder, ["-r", str(requirements)]))]


def data_folder(names: Iterable[str], python: Path) -> Path:
    """The folder of the data sets, these written in it; a changed recipe makes another folder."""
    recipes = HERE / "data.py"
    folder = CACHE / f"data-{fingerprint([recipes])}"
    missing = [name for name in dict.fromkeys(names) if not (folder / f"{name}.parquet").exists()]
    if missing:
        print(f"Writing data: {', '.join(missing)}", file=sys.stderr)
        subprocess.run([python, recipes, folder, *missing], check=True)
    return folder
