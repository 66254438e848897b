"""discovery/docs/sdk.md: its Python examples do what they say, its JavaScript and Go use the files beside it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import discovery
from tests.programs import program
from tests.stories.process import Discovery, running

DOCS = Path(discovery.__file__).parent / "docs"
PAGE = (DOCS / "sdk.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running() as server:
        yield server


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_example_prints_what_it_says(server: Discovery, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_URL", server.http)
    printed = io.StringIO()
    code = compile(block, "sdk.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(printed):
        result = eval(code, {"__name__": "example"})  # noqa: S307
        if inspect.iscoroutine(result):
            asyncio.run(result)
    said = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert printed.getvalue().splitlines() == said


def test_there_are_python_examples() -> None:
    assert len(blocks("python")) >= 6


def test_the_javascript_of_the_page_names_what_the_file_exports_and_node_can_parse_it(tmp_path: Path) -> None:
    (block,) = blocks("js")
    (names,) = re.findall(r"import \{ (.*) \}", block)
    source = (DOCS / "examples" / "registry.mjs").read_text()
    assert set(names.split(", ")) == set(re.findall(r"^export function (\w+)", source, re.MULTILINE))
    for number, text in enumerate((block, *blocks("javascript"))):
        (tmp_path / f"{number}.mjs").write_text(text)
        subprocess.run([program("node"), "--check", f"{number}.mjs"], cwd=tmp_path, check=True, timeout=100)


def test_the_go_of_the_page_names_what_there_is_and_go_finds_no_fault_with_it(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed (Debian package golang-go)")
    (use,) = blocks("go")
    (tmp_path / "go.mod").write_text("module example.org/registry\ngo 1.21\n")
    shutil.copy(DOCS / "examples" / "registry.go", tmp_path)
    (tmp_path / "use").mkdir()
    imports = "".join(f'\t"{name}"\n' for name in ("context", "fmt", "os", "example.org/registry"))
    body = "".join(f"\t{line}" for line in use.splitlines(keepends=True))
    (tmp_path / "use" / "main.go").write_text(f"package main\n\nimport (\n{imports})\n\nfunc main() {{\n{body}}}\n")
    done = subprocess.run([go, "vet", "./..."], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
