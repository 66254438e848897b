"""The plugin's settings: OpenTelemetry's own variables, those that decide whether there are traces and that can be checked at start.

The library reads these and all others of its specification itself, from the environment alone; see `export`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from discovery.system.env import EnvSettings


class TracesSettings(EnvSettings):
    otel_exporter_otlp_endpoint: str | None = None
    """URL of a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318. Empty: no traces."""
    otel_exporter_otlp_traces_endpoint: str | None = None
    """The same for traces alone, with the whole path. Empty: OTEL_EXPORTER_OTLP_ENDPOINT and /v1/traces."""
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    """There is no other."""
    otel_traces_exporter: Literal["otlp", "none"] = "otlp"
    """none: no traces."""
    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = "parentbased_always_on"
    """Which requests become spans: parentbased_ follows the caller's decision, traceidratio takes OTEL_TRACES_SAMPLER_ARG of them."""
    otel_traces_sampler_arg: Annotated[float, Field(ge=0, le=1)] = 1.0
    """0 to 1: the share of requests that traceidratio takes."""
    otel_service_name: str = "discovery"
    """Who it was, in the traces."""
    otel_sdk_disabled: bool = False
    """true: no traces, whatever else is set."""

    @property
    def enabled(self) -> bool:
        endpoint = self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
        return endpoint is not None and self.otel_traces_exporter != "none" and not self.otel_sdk_disabled
