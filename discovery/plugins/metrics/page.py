"""Metrics as text, in the format that the client asks for: prometheus-client writes it, some lines in each turn of the event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from discovery.core.metric import Histogram, Metric, Readings
from discovery.system.turns import turns

# OpenMetrics ends a page with it.
_END = b"# EOF\n"
# Lines of one piece, up to 10 µs each.
_PIECE = 64
_LINES_OF_HISTOGRAM = 16
# CPU, memory and files of this process, as the library reads them on Linux.
_process = ProcessCollector(registry=None)


def content_type(accept: str) -> str:
    """Of the page that who accepts this is given."""
    return choose_encoder(accept)[1]


async def page(metrics: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    """The text and its content type."""
    encode, content_type = choose_encoder(accept)
    parts = []
    for metric in metrics:
        readings = metric.read()
        if inspect.isawaitable(readings):
            readings = await readings
        for number, some in enumerate(_in_pieces(metric, readings)):
            octets = _encoded(encode, [_family(metric, some)])
            parts.append(_without_head(octets) if number else octets)
            await turns().over()
    of_process = await asyncio.to_thread(lambda: list(_process.collect()))  # it reads files
    parts.append(_encoded(encode, of_process))
    if "openmetrics" in content_type:
        parts.append(_END)
    return b"".join(parts), content_type


def _in_pieces(metric: Metric, readings: Readings) -> Iterator[Readings]:
    """At least once: a metric without readings has its head."""
    size = max(1, _PIECE // (_LINES_OF_HISTOGRAM if metric.kind == "histogram" else 1))
    items = list(readings.items())
    for start in range(0, len(items) or 1, size):
        yield dict(items[start : start + size])


def _without_head(octets: bytes) -> bytes:
    """`# HELP` and `# TYPE` stand before the first part."""
    while octets.startswith(b"#"):
        octets = octets.partition(b"\n")[2]
    return octets


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _encoded(encode: Callable[[Collector], bytes], families: Iterable[Family]) -> bytes:
    return encode(_Families(families)).removesuffix(_END)


def _family(metric: Metric, readings: Readings) -> Family:
    if metric.kind == "histogram":
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in readings.items():
            assert isinstance(value, Histogram)
            bounds = [*map(str, map(float, value.bounds)), "+Inf"]
            family.add_metric(labels, list(zip(bounds, accumulate(value.counts), strict=True)), value.sum)
        return family
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    numbers = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in readings.items():
        assert not isinstance(value, Histogram)
        numbers.add_metric(labels, value)
    return numbers
