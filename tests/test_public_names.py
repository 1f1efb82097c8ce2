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


def public_objects() -> dict[str, object]:
    """Functions and classes that users call by name: those of the package and of its public modules."""
    top = {name: getattr(ml, name) for name in ml.__all__ if not name.startswith("__")}
    modules = {name: thing for name, thing in top.items() if inspect.ismodule(thing)}
    below = {
        f"{name}.{inner}": getattr(module, inner)
        for name, module in modules.items()
        for inner in getattr(module, "__all__", ())
    }
    return {**{name: thing for name, thing in top.items() if name not in modules}, **below}


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


@pytest.mark.parametrize("name", public_objects())
def test_every_public_name_says_in_one_line_what_it_does(name: str) -> None:
    summary = (inspect.getdoc(public_objects()[name]) or "").split("\n\n")[0]
    assert summary.endswith(".")
    assert "\n" not in summary


@pytest.mark.parametrize("name", [name for name, thing in public_objects().items() if callable(thing)])
def test_every_public_function_shows_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(public_objects()[name]) or "")


@pytest.mark.parametrize("module", package_modules())
def test_the_examples_in_docstrings_print_what_they_say(module: str) -> None:
    __import__(module)
    result = doctest.testmod(
        sys.modules[module],
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert result.failed == 0
