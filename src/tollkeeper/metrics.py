"""Counters and measurements, in Prometheus' text format. Counters start at 0 with each process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """One set of metrics for each running app: two apps in one process do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.events_kept = self._count("events_kept", "Events new to us", way=("webhook", "poll"))
        self.events_tried = self._count(
            "events_tried", "What came of handling events", outcome=("handled", "failed", "parked")
        )
        self.webhooks_refused = self._count("webhooks_refused", "Webhooks that were not believed")
        self.reconciles = self._count(
            "reconciles", "Reconciles of a customer", outcome=("changed", "unchanged", "superseded", "untold")
        )
        self.drift = self._count("drift", "Changes of access that only the sweep brought about")
        self.other_sales = self._count("other_sales", "Sales on the account that nothing here is about")
        classes = ("1xx", "2xx", "3xx", "4xx", "5xx")
        http_requests = self._count("http_requests", "Requests answered, by class of status", status=classes)
        self._answered = [http_requests.labels(name) for name in classes]
        self._asked = Histogram(
            "tollkeeper_provider_request_seconds",
            "Requests to the provider, how they ended and how long that took",
            ["outcome"],
            registry=self._registry,
        )
        for outcome in ("2xx", "4xx", "429", "5xx", "none"):
            self._asked.labels(outcome)
        self.events_unhandled = self._gauge("events_unhandled", "Events not handled now", "state")
        self.oldest_waiting = self._gauge("oldest_waiting_event_seconds", "Since when the oldest waiting event waits")
        self.list_read = self._gauge("events_list_read_seconds", "Since when the provider's list was read to its end")
        self.off_sale = self._gauge("off_sale", "What the provider refuses to sell, by whom it concerns", "scope")
        self.checks = self._gauge("checks", "What the last check of this process found", "level")
        self.unexplained = self._gauge("payments_unexplained", "Payments that a person must look at", "verdict")

    def answered(self, status: int) -> None:
        """Count a response to a visitor with a status from 100 to 599."""
        self._answered[status // 100 - 1].inc()

    def asked(self, status: int | None, seconds: float) -> None:
        """Count a request to the provider: the status of its response (None if there was none), and its seconds."""
        outcome = "none" if status is None else "429" if status == 429 else f"{status // 100}xx"
        self._asked.labels(outcome).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _count(self, name: str, what: str, **label: tuple[str, ...]) -> Counter:
        """Create a counter whose values exist from the start, because an alert on an increase needs a first value."""
        made = Counter(f"tollkeeper_{name}", what, list(label), registry=self._registry)
        for values in label.values():
            for value in values:
                made.labels(value)
        return made

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"tollkeeper_{name}", what, labels, registry=self._registry)
