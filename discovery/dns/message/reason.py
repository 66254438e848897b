"""Why a reply says what it says, in one word: for whoever counts replies, beside the text for whoever reads one (`Explanation`)."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    __hash__ = str.__hash__  # it is looked up for each answer, and an enum's own takes a call

    ANSWER = "answer"
    NEAR = "near"  # all of the client's own zone (CLIENT_ZONES)
    CROSSED = "crossed"  # some or all are from elsewhere, for too few of his zone are healthy
    STALE = "stale"  # suspects are in it, or nothing but flapping instances
    TRUNCATED = "truncated"
    NO_SUCH_TYPE = "no_such_type"
    NONE_HEALTHY = "none_healthy"
    REFERRAL = "referral"
    COOKIE = "cookie"  # it was all that was asked for
    UNKNOWN_NAME = "unknown_name"
    NO_SUCH_INSTANCE = "no_such_instance"  # of a service that is known
    NOT_OUR_ZONE = "not_our_zone"
    NOT_ALLOWED = "not_allowed"
    NO_TRANSFER = "no_transfer"
    NOT_SECONDARY = "not_secondary"
    NOT_LOADED = "not_loaded"
    FAILED = "failed"
    MALFORMED = "malformed"
    NOT_IMPLEMENTED = "not_implemented"
    BAD_VERSION = "bad_version"
    BAD_COOKIE = "bad_cookie"
    RATE_LIMITED = "rate_limited"
    SHED = "shed"
    IGNORED = "ignored"
    STREAMED = "streamed"
    OTHER = "other"
