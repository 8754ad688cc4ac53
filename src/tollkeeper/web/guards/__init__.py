"""What every request passes before any page sees it."""

from tollkeeper.web.guards.bodies import BoundedBody, announced
from tollkeeper.web.guards.headers import SecurityHeaders, origin, security_headers
from tollkeeper.web.guards.loopback import OneLoopbackName
from tollkeeper.web.guards.paths import AtOurPath, placed
from tollkeeper.web.guards.proxies import OnlyOurProxies, TrustedHeaders, arrival_of
from tollkeeper.web.guards.request_log import RequestLog, metrics_of

__all__ = [
    "AtOurPath",
    "BoundedBody",
    "OneLoopbackName",
    "OnlyOurProxies",
    "RequestLog",
    "SecurityHeaders",
    "TrustedHeaders",
    "announced",
    "arrival_of",
    "metrics_of",
    "origin",
    "placed",
    "security_headers",
]
