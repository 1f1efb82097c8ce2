"""Print what a build of the package needs, one requirement a line."""

import tomllib
from pathlib import Path

pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())

# The build backend asks for CMake and Ninja itself, but only when pip makes the build environment.
print(*pyproject["build-system"]["requires"], "cmake>=3.18", "ninja>=1.10", sep="\n")
