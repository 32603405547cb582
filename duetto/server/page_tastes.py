"""A person's tastes as the page shows them: read in their history, or set by them."""

from itertools import islice
from typing import Any

from duetto.server.house import House
from duetto.tools.plain.preferences import preferences
from duetto.tools.profiles import Corrected, Profile
from duetto.tools.tastes import same

STEP = 0.2  # of "more" and "less"
LEAST = 0.1  # less is said by removing it


def tastes_of(here: House, profile: Profile, last: dict[str, Any] | None) -> dict[str, Any]:
    """As the last answer, if there is one, and the profile show them, with what the person set of them since; and what they
    removed."""
    seen = [one for one in (last or {}).get("preferences", []) if one["evidence"]]
    read = {same(one["preference"]): one for one in (*seen, *_read(here, profile))}
    own = {same(one.preference): one for one in profile.corrected}
    said = {key: {"preference": one.preference, "evidence": []} for key, one in own.items()}
    tastes = dict(islice(read.items(), here.opened().box.limits.preferences))
    tastes |= {key: read.get(key, one) for key, one in said.items()}
    return {
        "tastes": [_shown(one, own.get(key), key in read) for key, one in tastes.items() if key not in own or own[key].weight],
        "removed": [one.preference for one in profile.corrected if not one.weight],
    }


def _shown(one: dict[str, Any], own: Corrected | None, is_read: bool) -> dict[str, Any]:
    weight = one["weight"] if own is None else own.weight
    steps = {"less": max(LEAST, round(weight - STEP, 2)), "more": min(1.0, round(weight + STEP, 2))}
    return {**one, **steps, "weight": weight, "own": own is not None, "read": is_read}


def _read(here: House, profile: Profile) -> list[dict[str, Any]]:
    """As a model saw them last, else as the history shows them."""
    if kept := profile.tastes.get("preferences"):
        evidence = [[{"title": here.title(item)} for item in one["evidence"]] for one in kept]
        return [{**one, "preference": one["text"], "evidence": found} for one, found in zip(kept, evidence, strict=True)]
    opened = here.opened()
    liked = [*profile.of("seen"), *profile.of("liked")]
    history = opened.box.history(profile.user, liked, profile.of("disliked"))
    found = preferences(history, opened.index.features, opened.box.limits.preferences)
    titles = opened.index.catalogue.titles
    return [{"preference": p.text, "weight": p.weight, "evidence": [{"title": titles[r]} for r in p.evidence]} for p in found]
