"""What Prometheus reads: how many turns, how long, what they cost, and how many of them were degraded."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: Any = {"registry": self.registry}
        self.turns = Counter("duetto_turns", "Turns, by intent and how they ended", ["intent", "outcome"], **own)
        self.seconds = Histogram("duetto_turn_seconds", "From the request to the answer", buckets=SECONDS, **own)
        self.nodes = Histogram("duetto_node_seconds", "Time in a node of the graph", ["node"], buckets=SECONDS, **own)
        self.calls = Counter("duetto_model_calls", "Requests to the chat model", **own)
        self.tokens = Counter("duetto_model_tokens", "Tokens of the chat model", ["kind"], **own)
        self.degraded = Counter("duetto_degraded_turns", "Turns that answered with less than they would have", **own)
        self.refused = Counter("duetto_refused_turns", "Turns that were told to come again", **own)
        self.in_flight = Gauge("duetto_turns_in_flight", "Turns that run now", **own)
        self.waiting = Gauge("duetto_turns_waiting", "Turns that wait for room, or for their conversation", **own)

    def turn(self, seconds: float, answer: dict[str, Any] | None, failure: BaseException | None) -> None:
        if answer is None:
            self.turns.labels("", type(failure).__name__).inc()
            return
        self.turns.labels(answer["intent"], "answered").inc()
        self.seconds.observe(seconds)
        for node, ms in answer["timings_ms"].items():
            if node != "total":
                self.nodes.labels(node).observe(ms / 1000)
        self.calls.inc(answer["usage"]["calls"])
        self.tokens.labels("input").inc(answer["usage"]["input_tokens"])
        self.tokens.labels("output").inc(answer["usage"]["output_tokens"])
        self.degraded.inc(bool(answer["degraded"]))

    def text(self) -> bytes:
        return generate_latest(self.registry)
