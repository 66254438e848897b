"""Prints the bill of materials of the image that is being built (CycloneDX, JSON): Debian's packages, Python, and Python's packages.

The Dockerfile runs it in its build stage, which starts from the same base image, with the Python whose packages the image gets.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from urllib.parse import quote, urlencode

_FIELDS = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\n"


def _component(kind: str, name: str, version: str, **qualifiers: str) -> dict[str, str]:
    """`kind` and `qualifiers` as package URLs have them (purl-spec)."""
    url = f"pkg:{kind}/{quote(name)}@{quote(version, safe=':')}"
    if qualifiers:
        url += f"?{urlencode(qualifiers)}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def _debian() -> list[dict[str, str]]:
    system = platform.freedesktop_os_release()
    asked = ["dpkg-query", "-W", "-f", _FIELDS]
    told = subprocess.run(asked, capture_output=True, text=True, check=True)  # noqa: S603 - the image's own
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    # Scanners look for vulnerabilities by the source package, which they call upstream.
    return [
        {"type": "operating-system", "name": system["ID"], "version": system["VERSION_ID"]},
        *(
            _component("deb/debian", name, version, arch=arch, distro=f"debian-{system['VERSION_ID']}", upstream=source)
            for status, name, version, arch, source in rows
            if status == "installed"
        ),
    ]


def _python() -> list[dict[str, str]]:
    version = platform.python_version()
    return [
        {**_component("generic", "python", version), "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"},
        *(_component("pypi", name, found[name]) for name in sorted(found)),
    ]


found = {each.name.lower().replace("_", "-"): each.version for each in importlib.metadata.distributions()}
ours = {"type": "application", "name": "discovery-server", "version": found.pop("discovery-server")}
bill = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "metadata": {"component": ours},
    "components": [*_debian(), *_python()],
}
json.dump(bill, sys.stdout, indent=1)
