"""podman, with a store of its own, in a network of its own: it builds our Dockerfile and runs what comes of it, as docker does.

No image can be fetched in a test, so `python:3.13-slim` is made here: empty, but for users and a `python`. It gets the machine's /usr and
the tests' Python and packages as read-only volumes, and pip is told to take the packages from there. So what the tests see of the
Dockerfile is real but for the versions that pip would choose. Needs root: a container in a container is nobody's else to make.
"""

from __future__ import annotations

import io
import os
import resource
import shlex
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import program
from tests.stories.judges.namespace import isolated
from tests.stories.process import LIMIT

# Its store is in memory, which is faster and gone with the namespace; and what it wants below /sys/fs/cgroup, on machines that have the
# old kind there too.
_SETUP = """
mkdir {folder}/podman && mount -t tmpfs tmpfs {folder}/podman || exit
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
_BASE = """
FROM scratch
ADD base.tar /
ENV PATH=/base/bin:/usr/bin:/bin PYTHONPATH=/packages PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_NO_BUILD_ISOLATION=0
"""
_FOLDERS = ("base/bin", "dev", "etc", "packages", "proc", "root", "run", "sys", "tmp", "usr", "var/lib/dpkg")
_LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "var/lib/dpkg/status": "Package: login\nStatus: install ok installed\nVersion: 1:4.16\nArchitecture: amd64\nSource: shadow\n\n",
}
_OPTIONS = ("--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=file")


class Podman:
    """`prefix`: a command before it runs in the network where the containers are."""

    def __init__(self, folder: Path, prefix: list[str]) -> None:
        self.prefix = prefix
        store = [f"--{name}={folder}/podman/{name}" for name in ("root", "runroot", "tmpdir")]
        self._command = [*prefix, program("podman", at_least="5"), *store, *_OPTIONS]
        here = ["--network=host", "--pull=never", *self._limits(), *_machine()]
        self._own = {
            "build": ["--isolation=chroot", "--layers=false", "--format=docker", *here],
            "run": ["--cgroups=disabled", "--read-only-tmpfs=false", *here],
        }

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Its arguments are docker's. It runs at the top of the checkout."""
        command, *others = arguments
        done = subprocess.run(
            [*self._command, command, *self._own.get(command, ()), *others],
            capture_output=True,
            text=True,
            timeout=3 * LIMIT,
        )
        assert done.returncode == 0 or not check, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def inside(self, *command: str) -> str:
        """What a program of the machine prints, in the network where the containers are."""
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, (command, done)
        return done.stdout

    @staticmethod
    def _limits() -> list[str]:
        """podman's own are higher than one may have who is root in a container only."""
        limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
        hard = {name: resource.getrlimit(number)[1] for name, number in limits.items()}
        return [f"--ulimit={name}={most}:{most}" for name, most in hard.items()]


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """With the image that our Dockerfile starts from."""
    if os.geteuid() != 0:
        _cannot("podman is driven as root")
    with isolated(folder) as prefix:
        setup = [*prefix, "sh", "-c", _SETUP.format(folder=shlex.quote(str(folder)))]
        subprocess.run(setup, check=True, capture_output=True, timeout=LIMIT)
        engine = Podman(folder, prefix)
        try:
            (folder / "base.tar").write_bytes(_base())
            (folder / "Base").write_text(_BASE)
            engine("build", "--tag=docker.io/library/python:3.13-slim", f"--file={folder}/Base", str(folder))
            yield engine
        finally:
            engine("rm", "--all", "--force", "--time=0", check=False)


def _base() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in _FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        for name, target in {**_LINKS, "base/bin/python": os.path.realpath(sys.executable)}.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for name, text in _FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def _machine() -> Sequence[str]:
    packages = sysconfig.get_path("purelib")
    at = {"/usr": "/usr", packages: "/packages"}
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        at[sys.base_prefix] = sys.base_prefix
    return [f"--volume={outside}:{inside}:ro" for outside, inside in at.items()]


def _cannot(why: str) -> None:
    """Like a program that is missing: fails in CI, skips elsewhere."""
    text = f"no container can be run here: {why}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
