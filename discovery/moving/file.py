"""A file as a source: the body of POST /registrations, or its list alone; read again when it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from discovery.moving.found import Found, SourceAway

# Seconds between two looks.
_EVERY = 2.0


class File:
    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.name = f"file:{self._path.name}"
        self.found = Found()

    async def check(self, ignores_keys: bool) -> None:
        """It has nothing besides."""

    async def close(self) -> None:
        """Nothing is open."""

    async def read(self) -> None:
        found = Found()
        try:
            content = json.loads(self._path.read_bytes())
            for item in content["instances"] if isinstance(content, dict) else content:
                found.add({"port": None, "health": "passing"} | dict(item))
                if not (isinstance(item["name"], str) and isinstance(item["ip"], str)):
                    raise TypeError("name and ip are texts")
        except OSError as error:
            raise SourceAway(
                f"{self._path} cannot be read: {error.strerror}; "
                "another registry is written consul://HOST:8500 or eureka://HOST:8761/eureka"
            ) from None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else error
            raise SourceAway(
                f"{self._path} is no list of instances ({why}); it is the body of POST /registrations, see docs/http.md"
            ) from None
        self.found = found

    async def follow(self, changed: Callable[[], None]) -> None:
        before = None
        while True:
            await self.read()
            if self.found != before:
                before = self.found
                changed()
            await asyncio.sleep(_EVERY)
