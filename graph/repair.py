"""A second look, at most one a turn: the request in other words, after what was found did not fit it. Writes `repaired`."""

import time
from dataclasses import dataclass, replace
from typing import Any

from duetto.graph.state import State, Written, since
from duetto.graph.write_queries import WriteQueries
from duetto.tools.plain.repair import other_queries


@dataclass(frozen=True)
class Repair:
    write: WriteQueries

    def __call__(self, state: State) -> dict[str, Any]:
        started = time.perf_counter()
        box = self.write.box
        queries, read = other_queries(state.understood.meaning.wish, box.words, box.limits.queries)
        written = Written(queries)
        if not queries:
            written = self.write.again(state) or Written(state.queries)
        note = (f"a second search was made because {state.ranking.unfit}", *([read] if read else []))
        outcome = written.outcome
        return {"repaired": replace(written, outcome=replace(outcome, ms=since(started), degraded=(*outcome.degraded, *note)))}
