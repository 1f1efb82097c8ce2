"""The package keeps the shape that docs/architecture.md draws: read from the source, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "multilevel"

# Data flow down this list, and a module may import only from its own folder and from those above it.
FLOW = (
    "frames",
    "formula",
    "design",
    "families",
    "covariance",
    "kernels",
    "estimation",
    "fitted",
    "simulation",
    "inference",
    "clusters",
    "report",
    "results",
    "datasets",
    "__init__",  # the public names
)
FOR_ALL = {"_typing", "_options", "errors"}  # type names, checks of options, exceptions: outside the flow
PUBLIC_NAMESPACES = {
    "datasets",
    "families",
}  # subpackages whose names users write as multilevel.<subpackage>.<name>


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import statement names, and where it stands."""

    name: str  # absolute, e.g. "multilevel.design.design.Design"
    line: int
    in_function: bool


def package_files() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """Absolute names of what a statement in `package` imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, *([node.module] if node.module else [])])
    else:
        base = node.module or ""
    return [f"{base}.{alias.name}" for alias in node.names]  # a name may be a module as well as an object


def walk(node: ast.AST, in_function: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below, and whether it runs only when some function is called."""
    for child in ast.iter_child_nodes(node):
        yield child, in_function
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from walk(child, in_function or is_function)


def imports(file: str) -> list[Imported]:
    package = ".".join(["multilevel", *Path(file).parts[:-1]])
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    return [
        Imported(target, node.lineno, in_function)
        for node, in_function in walk(tree, in_function=False)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in targets(node, package)
    ]


def folder(name: str) -> str | None:
    """The part of the flow that an absolute name belongs to; None for what is not ours."""
    top, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    if top != "multilevel":
        return None
    return part if part in {*FLOW, *FOR_ALL} else "__init__"


def home(file: str) -> str:
    """The part of the flow that a file belongs to."""
    return Path(file).parts[0].removesuffix(".py")


def offences(is_offence: Callable[[str, Imported], bool]) -> list[str]:
    """Where in the package an import breaks a rule, as "file:line imports name"."""
    return [
        f"{file}:{found.line} imports {found.name}"
        for file in package_files()
        for found in imports(file)
        if is_offence(file, found)
    ]


def test_every_folder_has_its_place_in_the_flow() -> None:
    assert {home(file) for file in package_files()} == {*FLOW, *FOR_ALL}


def test_the_architecture_page_has_a_paragraph_for_every_folder() -> None:
    page = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert not [name for name in {*FLOW} - {"__init__"} if f"**`{name}/`**" not in page]


@pytest.mark.parametrize("part", [*FLOW, *sorted(FOR_ALL)])
def test_imports_run_down_the_flow(part: str) -> None:
    above = set() if part in FOR_ALL else {*FLOW[: FLOW.index(part) + 1]}
    allowed = {*above, *FOR_ALL, None}
    assert not offences(lambda file, found: home(file) == part and folder(found.name) not in allowed)


def test_nothing_of_ours_is_imported_inside_a_function() -> None:
    assert not offences(lambda _, found: found.in_function and folder(found.name) is not None)


def test_import_machinery_is_left_to_the_package_init() -> None:
    sources = {file: (PACKAGE / file).read_text(encoding="utf-8") for file in package_files()}
    assert {file for file, text in sources.items() if "import_module" in text} <= {"__init__.py"}
    assert not {file for file, text in sources.items() if "__import__" in text}


def test_narwhals_stays_in_frames() -> None:
    assert not offences(lambda file, found: found.name.startswith("narwhals") and home(file) != "frames")


def test_the_extension_has_one_door() -> None:
    assert not offences(lambda file, found: "_core" in found.name.split(".") and home(file) != "kernels")


def test_kernels_know_nothing_of_ours() -> None:
    allowed = {"kernels", *FOR_ALL, None}
    assert not offences(lambda file, found: home(file) == "kernels" and folder(found.name) not in allowed)


@pytest.mark.parametrize("name", sorted({*FLOW} - {"__init__"} - PUBLIC_NAMESPACES))
def test_subpackages_re_export_nothing(name: str) -> None:
    body = ast.parse((PACKAGE / name / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)
    assert isinstance(body[0].value, ast.Constant)  # a docstring and nothing else
