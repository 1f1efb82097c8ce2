"""What `import multilevel` costs, and what a user reads about each public name."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import multilevel as ml

HEAVY = {"pandas", "scipy", "formulaic", "matplotlib", "narwhals", "polars", "pyarrow", "rich", "typer"}


def is_ours(thing: object) -> bool:
    return getattr(thing, "__module__", "").startswith("multilevel.")


def public_functions() -> dict[str, object]:
    return {name: thing for name in ml.__all__ if is_ours(thing := getattr(ml, name))}


def public_names() -> dict[str, object]:
    """What users call by name: functions of the package, data sets, errors."""
    below = {
        f"{module}.{name}": thing
        for module in ("datasets", "errors")
        for name, thing in vars(getattr(ml, module)).items()
        if is_ours(thing)
    }
    return {**public_functions(), **below}


def package_modules() -> list[str]:
    return ["multilevel", *(found.name for found in pkgutil.walk_packages(ml.__path__, "multilevel."))]


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, multilevel; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_dir_lists_the_public_names() -> None:
    assert set(ml.__all__) <= set(dir(ml))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="lmn"):
        _ = ml.lmn


def test_no_subpackage_takes_the_name_of_a_public_function() -> None:
    subpackages = {found.name for found in pkgutil.iter_modules(ml.__path__)}
    functions = {name for name in ml.__all__ if not isinstance(getattr(ml, name), ModuleType)}
    assert not subpackages & functions


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_says_in_one_line_what_it_does(name: str) -> None:
    summary = (inspect.getdoc(public_names()[name]) or "").split("\n\n")[0]
    assert summary.endswith(".")
    assert "\n" not in summary


@pytest.mark.parametrize("name", public_functions())
def test_every_public_function_shows_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(public_functions()[name]) or "")


@pytest.mark.parametrize("module", package_modules())
def test_the_examples_in_docstrings_print_what_they_say(module: str) -> None:
    __import__(module)
    result = doctest.testmod(
        sys.modules[module],
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert result.failed == 0
