"""Whether data of one Avro schema can be read with another, by Avro's resolution rules. Pure.

`unreadable` is what a registry checks; `corruptions` is what it does not look at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from headwater.schemas.avro import Json

_PROMOTED = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
_NAMED = {"record", "enum", "fixed"}
# What decides how bytes are understood, beside the type itself.
_MEANING = ("logicalType", "precision", "scale", "connect.name")


@dataclass(frozen=True, slots=True)
class _Scope:
    """Named types met so far, by full name."""

    names: dict[str, dict[str, Json]] = field(default_factory=dict[str, dict[str, Json]])

    def resolve(self, schema: Json, namespace: str) -> tuple[dict[str, Json] | list[Json], str]:
        """A schema with its name looked up, and the namespace inside it."""
        if isinstance(schema, list):
            return schema, namespace
        if isinstance(schema, str):
            known = self.names.get(schema) or self.names.get(f"{namespace}.{schema}")
            return (known, namespace) if known is not None else ({"type": schema}, namespace)
        if not isinstance(schema, dict):
            raise TypeError(f"{schema!r} is no Avro schema")
        kind = schema.get("type")
        if isinstance(kind, (dict, list)):
            return self.resolve(kind, namespace)
        if kind in _NAMED:
            inner = cast(str, schema.get("namespace", namespace))
            self.names[f"{inner}.{schema['name']}"] = schema
            return schema, inner
        return schema, namespace


def unreadable(reader: Json, writer: Json) -> str:
    """Why a reader cannot read what the writer wrote, as a path and reason; empty if it can."""
    return _Resolution().problem((reader, ""), (writer, ""), "")


class _Resolution:
    """One comparison; named types that contain themselves are compared once."""

    def __init__(self) -> None:
        self.readers, self.writers = _Scope(), _Scope()
        self.seen: set[tuple[str, str]] = set()

    def problem(self, reader: tuple[Json, str], writer: tuple[Json, str], path: str) -> str:
        r, r_space = self.readers.resolve(*reader)
        w, w_space = self.writers.resolve(*writer)
        if isinstance(w, list):
            branches = (self.problem((r, r_space), (b, w_space), path) for b in w)
            return next((found for found in branches if found), "")
        if isinstance(r, list):
            tried = [self.problem((b, r_space), (w, w_space), path) for b in r]
            # The deepest reason is the useful one: its branch went furthest.
            return "" if "" in tried else max(tried, key=len)
        kind, wrote = cast(str, r["type"]), cast(str, w["type"])
        if kind != wrote:
            if kind in _PROMOTED.get(wrote, ()):
                return ""
            return f"{path or 'schema'}: {wrote} cannot be read as {kind}"
        match kind:
            case "record":
                return self._records((r, r_space), (w, w_space), path)
            case "enum":
                return _enums(r, w, path)
            case "fixed":
                same = (r["name"], r["size"]) == (w["name"], w["size"])
                return "" if same else f"{path}: another fixed"
            case "array" | "map":
                part = "items" if kind == "array" else "values"
                return self.problem((r[part], r_space), (w[part], w_space), path)
            case _:
                return ""

    def _records(
        self,
        reader: tuple[dict[str, Json], str],
        writer: tuple[dict[str, Json], str],
        path: str,
    ) -> str:
        (r, r_space), (w, w_space) = reader, writer
        pair = (f"{r_space}.{r['name']}", f"{w_space}.{w['name']}")
        if r["name"] != w["name"]:
            return f"{path or 'schema'}: record {w['name']} cannot be read as {r['name']}"
        if pair in self.seen:
            return ""
        self.seen.add(pair)
        written = {cast(str, f["name"]): f for f in fields_of(w)}
        for wanted in fields_of(r):
            name = cast(str, wanted["name"])
            at = f"{path}.{name}" if path else name
            if name in written:
                found = self.problem(
                    (wanted["type"], r_space), (written[name]["type"], w_space), at
                )
                if found:
                    return found
            elif "default" not in wanted:
                return f"{at}: missing in one version, without a default in the other"
        return ""


def _enums(reader: dict[str, Json], writer: dict[str, Json], path: str) -> str:
    if reader["name"] != writer["name"]:
        return f"{path}: another enum"
    known = cast(list[str], reader["symbols"])
    lost = [s for s in cast(list[str], writer["symbols"]) if s not in known]
    return f"{path}: {lost[0]} is no symbol" if lost and "default" not in reader else ""


def fields_of(record: dict[str, Json]) -> list[dict[str, Json]]:
    """The fields of a record schema."""
    return cast(list[dict[str, Json]], record["fields"])


def corruptions(old: Json, new: Json) -> str:
    """What resolution lets through although values change their meaning; empty if nothing."""
    before, after = dict(_meanings(old, "")), dict(_meanings(new, ""))
    for path, meaning in before.items():
        if path in after and after[path] != meaning:
            return f"{path}: {_shown(meaning)} would be read as {_shown(after[path])}"
    return ""


Meaning = tuple[Json, ...]


def _shown(meaning: Meaning) -> str:
    return " ".join(str(part) for part in meaning if part is not None)


def _meanings(schema: Json, path: str) -> Iterator[tuple[str, Meaning]]:
    """Every primitive in a schema by its path, with what decides how its bytes are understood."""
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        for i, branch in enumerate(branches):
            yield from _meanings(branch, path if len(branches) == 1 else f"{path}|{i}")
    elif isinstance(schema, str):
        yield path, (schema, *(None for _ in _MEANING))
    elif isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "record":
            for one in fields_of(schema):
                name = cast(str, one["name"])
                yield from _meanings(one["type"], f"{path}.{name}" if path else name)
        elif isinstance(kind, (dict, list)):
            yield from _meanings(kind, path)
        elif kind in ("array", "map"):
            yield from _meanings(schema["items" if kind == "array" else "values"], f"{path}[]")
        else:
            yield path, (kind, *(schema.get(part) for part in _MEANING))
