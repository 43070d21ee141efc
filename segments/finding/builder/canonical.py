"""The one way in which a query is written: what says the same is the same text."""

import json
from typing import Any


def as_text(query: Any) -> str:
    """Return a query as one text, the same for the same query."""
    return json.dumps(query, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def canonical(query: Any) -> Any:
    """Return a query as addresses hold it: a group at its root, and nothing in it that says nothing."""
    return _tidy(query) if isinstance(query, dict) and query.keys() & {"all", "any"} else {"all": [_tidy(query)]}


def _tidy(part: Any) -> Any:
    if not isinstance(part, dict) or len(part) != 1:
        return _tidy_condition(part)
    [(kind, inner)] = part.items()
    if kind in {"all", "any"} and isinstance(inner, list):
        return {kind: [_tidy(each) for each in inner]}
    if kind in {"did", "did_not"} and isinstance(inner, dict):
        return {kind: _tidy_did(inner)}
    if kind == "segments" and isinstance(inner, dict):
        return {kind: {name: ids for name, ids in inner.items() if ids != []}}
    return part


def _tidy_condition(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {name: value for name, value in part.items() if (name, value) != ("value", None)}


def _tidy_did(did: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in did.items() if value is not None and (name, value) != ("where", [])}
    if isinstance(found.get("where"), list):
        found["where"] = [_tidy_condition(each) for each in found["where"]]
    within = found.get("within")
    if isinstance(within, dict) and within:
        kept = {name: value for name, value in within.items() if value is not None}
        if kept or "days" in within:
            found["within"] = kept or within
        else:
            del found["within"]
    return found
