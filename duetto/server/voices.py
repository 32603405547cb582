"""What each voice alone would have recommended in a turn that was answered, beside what both did together."""

from collections.abc import Mapping
from typing import Any

from duetto.graph.carried import known_to
from duetto.tools.agent_tools import artifact, recommend_from_history, search_catalogue
from duetto.tools.constraints import where
from duetto.tools.duet import join
from duetto.tools.fusion import rank
from duetto.tools.language import SearchQuery
from duetto.wiring import Opened


def alone(opened: Opened, values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The ids that each voice puts first, by voice. `values` is the conversation's state after the turn."""
    box, answer = opened.box, values["answer"]
    k = len(answer["recommendations"])
    asked = {
        "user": answer["user"], "liked": known_to(values), "disliked": values["disliked"], "where": where(values["constraints"]),
        "hidden": [*values["seen"], *values["uninterested"], *values["topic"]["alike"]], "k": k,
    }  # fmt: skip
    history = box.history(asked["user"], asked["liked"], asked["disliked"])
    queries = [query["query"] for query in answer["queries"]]
    heard = artifact(search_catalogue(box), "language", queries=queries, **asked)
    chosen = artifact(recommend_from_history(box), "crowd", **asked)
    wished = any(SearchQuery(query["query"], query["serves"]).asked for query in answer["queries"])
    first: dict[str, list[Any]] = {}
    for voice, (said, gathered) in {"language": (heard, None), "crowd": (None, chosen)}.items():
        rows, evidence = join(box.voice, said, gathered, history, wished)
        order: list[int] = rank(evidence, opened.index.weights, box.limits, None).order[:k].tolist() if evidence.parts else []
        first[voice] = [box.catalogue.ids[rows[place]] for place in order]
    return first
