"""Metrics as text, in the format that the client asks for: prometheus-client writes it, one metric in each turn of the event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from discovery.core.metric import Histogram, Metric, Readings

# OpenMetrics ends a page with it.
_END = b"# EOF\n"
# CPU, memory and files of this process, as the library reads them on Linux.
_process = ProcessCollector(registry=None)


async def page(metrics: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    """The text and its content type."""
    encode, content_type = choose_encoder(accept)
    parts = []
    for metric in metrics:
        readings = metric.read()
        if inspect.isawaitable(readings):
            readings = await readings
        parts.append(_encoded(encode, [_family(metric, readings)]))
        await asyncio.sleep(0)
    of_process = await asyncio.to_thread(lambda: list(_process.collect()))  # it reads files
    parts.append(_encoded(encode, of_process))
    if "openmetrics" in content_type:
        parts.append(_END)
    return b"".join(parts), content_type


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
