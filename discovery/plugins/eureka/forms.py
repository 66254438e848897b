"""In which form an answer is: JSON or XML by `Accept`, whole or compact; and errors, as Spring's server has them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from discovery.core import exact_json
from discovery.plugins.eureka import xml_text
from discovery.plugins.eureka.info import Info, compact
from discovery.plugins.eureka.record import Unreadable
from discovery.rest.api.answers import JSON, Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind
from discovery.rest.api.times import Times

XML = "application/xml"
# What the real server answers without a word of its own: 500 is its answer to a value that is none.
_PLAIN = (404, 405, 406, 415, 500)
_ANY = ("", "*/*", "application/*")


class Form(NamedTuple):
    media: str
    is_compact: bool = False

    def of(self, info: Info) -> Info:
        return compact(info) if self.is_compact else info

    def one(self, name: str, value: Any) -> Answer:
        """A whole answer of one element."""
        if self.media == JSON:
            return Answer(200, orjson.dumps({name: value}))
        return Answer(200, xml_text.write(name, value, self._depth(0)).encode(), media=XML)

    def applications(
        self, apps: Iterable[tuple[str, list[Info]]], last: Callable[[], dict[str, str]]
    ) -> Iterator[bytes]:
        """In pieces. `apps`: the instances of each, perhaps in several pieces that follow each other, perhaps none. `last`: what stands
        behind them, once they are there.
        """
        pieces = self._json if self.media == JSON else self._xml
        return pieces(apps, last)

    def application(self, name: str, infos: Iterable[list[Info]]) -> Iterator[bytes]:
        """One of them, in pieces; the first has some."""
        before = b""
        if self.media == JSON:
            yield b'{"application":{"name":%b,"instance":[' % orjson.dumps(name)
            for some in infos:
                yield before + orjson.dumps([self.of(each) for each in some])[1:-1] if some else b""
                before = b","
            yield b"]}}"
            return
        yield f"<application>{xml_text.write('name', name, self._depth(1))}".encode()
        for some in infos:
            yield "".join([xml_text.write("instance", self.of(each), self._depth(1)) for each in some]).encode()
        yield b"</application>" if self.is_compact else b"\n</application>"

    def _json(self, apps: Iterable[tuple[str, list[Info]]], last: Callable[[], dict[str, str]]) -> Iterator[bytes]:
        yield b'{"applications":{"application":['
        is_open = ""
        for name, infos in apps:
            if not infos:
                yield b""
                continue
            some = orjson.dumps([self.of(each) for each in infos])[1:-1]
            if name == is_open:
                yield b"," + some
            else:
                yield (b"]}," if is_open else b"") + b'{"name":%b,"instance":[%b' % (orjson.dumps(name), some)
                is_open = name
        yield (b"]}]," if is_open else b"],") + orjson.dumps(last())[1:] + b"}"

    def _xml(self, apps: Iterable[tuple[str, list[Info]]], last: Callable[[], dict[str, str]]) -> Iterator[bytes]:
        line = "" if self.is_compact else "\n"
        two, four = ("", "") if self.is_compact else ("  ", "    ")
        yield b"<applications>"
        is_open, end = "", f"{line}{two}</application>"
        for name, infos in apps:
            text = "".join([xml_text.write("instance", self.of(each), self._depth(2)) for each in infos])
            if infos and name != is_open:
                title = f"{line}{two}<application>{line}{four}{xml_text.write('name', name)}"
                text = (end if is_open else "") + title + text
                is_open = name
            yield text.encode()
        texts = [xml_text.write(name, text, self._depth(1)) for name, text in last().items()]
        yield f"{end if is_open else ''}{''.join(texts)}{line}</applications>".encode()

    def _depth(self, depth: int) -> int | None:
        return None if self.is_compact else depth


def form_of(request: Request) -> Form | None:
    """None: nothing that the client accepts. Where it does not say: XML, as ever."""
    accepted = request.header(b"accept") or ""
    is_compact = request.headers.get(b"x-eureka-accept") == b"compact"
    ranges = [_range(each, place) for place, each in enumerate(accepted.lower().split(","))]
    for _, _, kind in sorted(ranges):
        if kind in (JSON, XML, *_ANY):
            return Form(JSON if kind == JSON else XML, is_compact)
    return None


def wanted_form(request: Request) -> Form:
    """HttpError 406."""
    form = form_of(request)
    if form is None:
        text = f"{request.path} is {JSON} or {XML}; ask for one of them"
        error = HttpError("NOT_ACCEPTABLE", text)
        error.status = 406  # no code of ours: nobody is told it
        raise error
    return form


def _range(text: str, place: int) -> tuple[float, int, str]:
    """RFC 9110 §12.5.1: in the order of how much it is wanted; what is not is no kind."""
    kind, *parameters = [part.strip() for part in text.split(";")]
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 1.0
            return -weight, place, kind if weight > 0 else "none"
    return -1.0, place, kind


def body_of(request: Request) -> dict[str, Any]:
    """An instance as JSON or XML. HttpError 400, 415."""
    media = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media not in ("", JSON, XML):
        raise HttpError("NOT_JSON", f"Content-Type is {media}; send the body as {JSON} or {XML}")
    if request.headers.get(b"content-encoding"):
        raise Unreadable("it is encoded; send it as it is")
    is_xml = media == XML or (not media and request.body[:1] == b"<")
    try:
        content = xml_text.read(request.body) if is_xml else exact_json.loads(request.body)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    if not isinstance(content, dict):
        raise Unreadable("it is no object")
    return content


def error_form(failure: HttpError, times: Times, request: Request | None) -> Answer:
    """As Spring's server has it; with a `message` where the status alone does not say what to do."""
    if failure.status == HTTPStatus.METHOD_NOT_ALLOWED and request is not None:
        methods = set(failure.headers["Allow"].split(", ")) | {"OPTIONS"}
        if request.method == "OPTIONS":
            return Answer(200, b"", {"Allow": ", ".join(sorted(methods))})
        failure.headers = {"Allow": ", ".join(sorted(methods - {"HEAD"}))}
    if failure.status == HTTPStatus.NOT_FOUND and request is not None and request.route.kind is Kind.HEARTBEAT:
        return Answer(
            404, b"", media=""
        )  # Netflix's clients read a body as an instance, fail, and never register again
    if failure.facts.get("is_bare"):
        return Answer(failure.status, failure.message.encode(), failure.headers, failure.index, XML)
    accepted = b"" if request is None else request.headers.get(b"accept", b"")
    is_xml = b"xml" in accepted and JSON.encode() not in accepted
    if failure.status == HTTPStatus.BAD_REQUEST:
        sent = b"" if request is None else request.headers.get(b"content-type", b"")
        if b"xml" in sent:
            text = xml_text.write("error", {"message": failure.message}, None)
            return Answer(failure.status, text.encode(), failure.headers, failure.index, XML)
        return Answer(failure.status, orjson.dumps({"error": failure.message}), failure.headers, failure.index)
    said = {
        "timestamp": times.now(),
        "status": failure.status,
        "error": HTTPStatus(failure.status).phrase,
        "path": "" if request is None else request.path,
    }
    if failure.status not in _PLAIN:
        said["message"] = failure.message
    if is_xml:
        return Answer(failure.status, xml_text.write("Map", said, None).encode(), failure.headers, failure.index, XML)
    return Answer(failure.status, orjson.dumps(said), failure.headers, failure.index)
