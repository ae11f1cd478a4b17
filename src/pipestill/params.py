"""Reading params.yaml: parse once at a stage's first line, then trust.

A section becomes a frozen, strict pydantic object. Unknown keys, wrong kinds and values out of range are refused, all
of them at once, each with its dotted key, the value found and the values allowed.

YAML is read as DVC reads it, by ruamel.yaml as YAML 1.2: PyYAML reads `5e-5` as a string and `no` as a boolean.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from pipestill.errors import ParamsError
from pipestill.json_text import MAX_DEPTH

PARAMS_FILE = Path("params.yaml")

T = TypeVar("T")

Namer = Callable[[Sequence[str]], str]
"""Gives the dotted name that a value has in params.yaml, from its path in a section."""

FROM_LIST = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""A list in YAML or JSON as a tuple in Python: strict models take no list for one."""

IntTuple = Annotated[tuple[int, ...], FROM_LIST]
"""Tuple of integers, a list in YAML."""
StrTuple = Annotated[tuple[str, ...], FROM_LIST]
"""Tuple of strings, a list in YAML."""


class Section(BaseModel):
    """Base of every specification: frozen, strict, no unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Read a params file as plain Python values.

    Args:
        path: the YAML file.

    Returns:
        The top-level mapping.

    Raises:
        ParamsError: the file is missing, is not YAML, or does not hold a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_deep(text)
        content = YAML(typ="safe").load(text)
    except OSError as error:
        raise ParamsError(f"{path} cannot be read", found=error, next_step="run from the repository root") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not valid YAML", found=error) from error
    if not isinstance(content, dict):
        raise ParamsError(
            f"{path} does not hold sections", found=type(content).__name__, expected="a mapping of sections"
        )
    return content


def _refuse_deep(text: str) -> None:
    """Refuse nesting at which the library's loader, which recurses in C, would end the process."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YAMLError(f"lists and mappings nested more than {MAX_DEPTH} deep")


def parse_section(content: Mapping[str, Any], key: str, kind: type[T]) -> T:
    """Turn one section into its specification.

    Args:
        content: top-level mapping of params.yaml.
        key: dotted name of the section, such as `students.bert_l3`.
        kind: specification of the section.

    Returns:
        The parsed, frozen section.

    Raises:
        ParamsError: the section is missing, or one or more values are refused; the message lists all of them.
    """
    if lines := refusals(content, key, kind):
        raise ParamsError(
            f"params.yaml, section `{key}`: {len(lines)} value(s) refused",
            found="".join(f"\n    {line}" for line in lines),
            next_step="correct the values named above in params.yaml; docs/pipeline.md lists every section",
        )
    return TypeAdapter(kind).validate_python(_section(content, key))


def load_section(key: str, kind: type[T], path: Path = PARAMS_FILE) -> T:
    """Read params.yaml and parse one section; see `parse_section`."""
    return parse_section(read_params(path), key, kind)


def refusals(
    content: Mapping[str, Any], key: str, kind: type[Any], where: Namer | None = None, *, partial: bool = False
) -> list[str]:
    """List the refused values of a section, one line per value: key, value found, values allowed.

    Args:
        content: top-level mapping of params.yaml.
        key: dotted name of the section.
        kind: specification of the section.
        where: name of a value by its path in the section; the path behind `key` if None.
        partial: whether keys may be missing.

    Returns:
        The lines; empty if the section fits.
    """
    section = _section(content, key)
    if section is None:
        return [f"{key}: the section is missing"]
    try:
        TypeAdapter(kind).validate_python(section)
    except ValidationError as error:
        details = error.errors(include_url=False)
        name = where or (lambda path: ".".join((key, *path)))
        return [
            _describe(detail, name, section, kind) for detail in details if not partial or detail["type"] != "missing"
        ]
    return []


def _section(content: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 (any YAML value)
    """Return the value at a dotted key, or None."""
    section: Any = content
    for part in key.split("."):
        section = section.get(part) if isinstance(section, Mapping) else None
    return section


def _describe(detail: Mapping[str, Any], name: Namer, section: Any, kind: type[Any]) -> str:  # noqa: ANN401
    """Describe one refusal: the key as in params.yaml, the value found, the values allowed."""
    where = name([str(part) for part in _path_in(section, detail["loc"])])
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        siblings = sorted(_keys_of(kind, detail["loc"][:-1]))
        message = f"no such key; allowed are {', '.join(siblings)}" if siblings else "no such key"
    if detail["type"] == "tuple_type":
        message = f"a list is expected, such as [{detail['input']}]"
    show = detail["type"] != "missing" and not isinstance(detail["input"], Mapping)
    return f"{where} (found {detail['input']!r}): {message}" if show else f"{where}: {message}"


def _path_in(section: Any, location: tuple[str | int, ...]) -> list[str | int]:  # noqa: ANN401 (any YAML value)
    """Strip a location of the names of union members, which pydantic puts between the keys of params.yaml."""
    path: list[str | int] = []
    for position, part in enumerate(location):
        inside = part in section if isinstance(section, Mapping) else isinstance(part, int)
        if inside:
            path.append(part)
            section = section[part] if not isinstance(part, int) or part < len(section) else None
        elif position == len(location) - 1 and isinstance(section, Mapping):
            path.append(part)  # the key that is missing
    return path


def _keys_of(kind: Any, location: tuple[str | int, ...]) -> set[str]:  # noqa: ANN401 (a class, or a union of them)
    """Return the keys that the specification at a location allows."""
    schema = TypeAdapter(kind).json_schema()
    node: Any = schema
    for part in location:
        node = _deref(schema, node)
        if "discriminator" in node and part in node["discriminator"]["mapping"]:
            node = {"$ref": node["discriminator"]["mapping"][part]}
        elif isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part, {})
    return set(_deref(schema, node).get("properties", {}))


def _deref(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that a schema node points at."""
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node
