"""The image's bill of materials, made of what is installed here; stories/container makes that of an image."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from discovery.cli.deploy import FOLDER
from tests.stories.process import LIMIT

# As dpkg-query prints them: what is installed, one whose name and version purl-spec wants escaped, and one of which only settings are left.
DPKG = """#!/bin/sh
printf 'installed\\tlogin\\t1:4.16.0-2\\tamd64\\tshadow\\n'
printf 'installed\\tlibstdc++6\\t14.2.0-19+b1~x\\tamd64\\tgcc-14\\n'
printf 'config-files\\tgone\\t1\\tall\\tgone\\n'
"""


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bin")
    Path(folder, "dpkg-query").write_text(DPKG)
    Path(folder, "dpkg-query").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    command = [sys.executable, str(FOLDER / "sbom.py")]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=LIMIT)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_it_has_debian_s_packages_by_their_urls(bill: dict[str, Any]) -> None:
    urls = [
        each["purl"].partition("&distro=debian-") for each in bill["components"] if "pkg:deb" in each.get("purl", "")
    ]
    assert [(before, after.partition("&")[2]) for before, _, after in urls] == [
        ("pkg:deb/debian/login@1:4.16.0-2?arch=amd64", "upstream=shadow"),
        ("pkg:deb/debian/libstdc%2B%2B6@14.2.0-19%2Bb1~x?arch=amd64", "upstream=gcc-14"),
    ]


def test_it_has_python_and_its_packages_and_itself_as_their_subject(bill: dict[str, Any]) -> None:
    installed = {canonicalize_name(each.name): each.version for each in importlib.metadata.distributions()}
    ours = installed.pop(canonicalize_name("discovery-server"))
    assert {
        canonicalize_name(each["name"]): each["version"]
        for each in bill["components"]
        if each.get("purl", "").startswith("pkg:pypi/")
    } == installed
    assert bill["metadata"]["component"]["version"] == ours
    assert any("cpe:2.3:a:python:python:3." in each.get("cpe", "") for each in bill["components"])
