"""
A workflow as code: read it, give its blocks stable ids, check its graph, compare it with what is stored.

The server rewrites block ids that aren't UUIDs, so ids are made UUIDs here, the same ones each time: what is
read back is then what was sent, and an unchanged workflow is recognised as such.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.models import BlockType, Workflow
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.json_values import plain_object
from airflow_provider_sixtyfour.workflows.block_specs import defaults_of, faults_of

_NAMESPACE = uuid.UUID("6b0f5a0e-6e4f-5c5b-9d3e-640000000064")  # of the ids made here; never to change
LONGEST_VALUE = 80  # characters of a value in a difference

_NO_SECRETS = Cleaner()


@dataclass(frozen=True, slots=True)
class Definition:
    """
    A workflow as it is wanted, or as it is stored.

    :param name: ``None`` leaves the stored name as it is.
    :param description: ``None`` leaves the stored one as it is.
    :param blocks: by ``block_id``, a UUID; each without that id.
    :param edges: (from, to, condition), sorted.
    """

    name: str | None
    description: str | None
    blocks: Mapping[str, Mapping[str, Any]]
    edges: tuple[tuple[str, str, str | None], ...]

    def as_body(self) -> dict[str, Any]:
        """Return the body of ``update_workflow``."""
        body: dict[str, Any] = {}
        if self.name is not None:
            body["workflow_name"] = self.name
        if self.description is not None:
            body["workflow_description"] = self.description
        body["workflow_definition"] = {
            "blocks": [{**block, "block_id": block_id} for block_id, block in self.blocks.items()],
            "edges": [
                {"from_block_id": begin, "to_block_id": end} | ({"condition": condition} if condition else {})
                for begin, end, condition in self.edges
            ],
        }
        return body


def parse(workflow: Any, workflow_id: str) -> Definition:
    """
    Read a wanted workflow, in the shape that the workflow editor copies out.

    :param workflow: a dict, or its JSON text.
    :param workflow_id: where it will be stored; an ``id`` in the text has to agree.
    :raises SixtyfourInputError: naming all that is wrong with it.
    """
    if isinstance(workflow, str):
        try:
            workflow = json.loads(workflow)
        except (ValueError, RecursionError) as error:
            raise SixtyfourInputError(f"The workflow is not valid JSON: {error}.") from None
    if not isinstance(workflow, Mapping):
        raise SixtyfourInputError(f"The workflow should be an object, not {type(workflow).__name__}.")
    workflow = plain_object(workflow, "the workflow")
    if workflow.get("id") not in (None, workflow_id):
        raise SixtyfourInputError(
            f"The workflow's own id {workflow['id']!r:.60} is not the task's workflow_id {workflow_id!r}."
        )
    name = workflow.get("workflow_name", workflow.get("name"))
    description = workflow.get("workflow_description", workflow.get("description"))
    for value, field in ((name, "workflow_name"), (description, "workflow_description")):
        if value is not None and not isinstance(value, str):
            raise SixtyfourInputError(f"{field} should be text, not {type(value).__name__}.")
    graph = workflow.get("workflow_definition", workflow if "blocks" in workflow else None)
    if not isinstance(graph, Mapping):
        raise SixtyfourInputError(
            "The workflow has no workflow_definition. The shape is {'workflow_name': …, 'workflow_description': …, "
            "'workflow_definition': {'blocks': […], 'edges': […]}}, as 'View Workflow Definition' in the editor shows."
        )
    blocks, edges = _graph(graph, workflow_id)
    return Definition(name, description, blocks, edges)


def stored(workflow: Workflow) -> Definition:
    """Read a workflow as the API gives it back; one that has no readable graph compares as empty."""
    try:
        graph = plain_object(workflow.definition or {}, "the stored workflow")
        blocks, edges = _graph(graph, workflow.id, is_stored=True)
    except SixtyfourInputError:
        blocks, edges = {}, ()
    return Definition(workflow.name, workflow.description, blocks, edges)


def check(
    wanted: Definition,
    kinds: Iterable[BlockType],
    cleaner: Cleaner = _NO_SECRETS,
    *,
    validate_specs: bool = False,
) -> list[str]:
    """
    Check a graph before it is sent.

    The server checks names and specs itself before it saves, and it may accept what it does not publish. So what
    differs from the published schemas is returned and no error, unless it is asked for.

    :param kinds: what ``GET /workflows/blocks`` lists; with none, names and specs go unchecked.
    :param cleaner: the client's; a finding quotes the API's schemas.
    :param validate_specs: whether unknown names and specs that do not fit the published schemas are errors.
    :returns: what differs from the published schemas, a line each.
    :raises SixtyfourInputError: naming every fault that was found.
    """
    faults = _faults_of_shape(wanted)
    findings = [f"block {_title(key, wanted.blocks[key])}: {fault}" for key, fault in faults_of(wanted.blocks, kinds)]
    if validate_specs:
        faults += findings
    if faults:
        lines = "\n".join(f"- {cleaner.message(fault)}" for fault in faults)
        raise SixtyfourInputError(f"The workflow can't be deployed:\n{lines}")
    return [cleaner.message(finding) for finding in findings]


def changes(
    wanted: Definition,
    existing: Definition,
    kinds: Iterable[BlockType] = (),
    cleaner: Cleaner = _NO_SECRETS,
) -> list[str]:
    """
    Return the differences, a line each, ready for a log; none if deploying would change nothing.

    :param kinds: their schemas' defaults count as given, since a server may write them out.
    :param cleaner: the client's; a difference quotes what is stored.
    """
    defaults = {kind.block_name: defaults_of(kind.specs_schema) for kind in kinds}
    lines = []
    for field, old, new in (
        ("workflow_name", existing.name, wanted.name),
        ("workflow_description", existing.description, wanted.description),
    ):
        if new is not None and (new or None) != (old or None):
            lines.append(f"~ {field}: {_shown(old, cleaner)} -> {_shown(new, cleaner)}")
    for block_id in [*existing.blocks, *(key for key in wanted.blocks if key not in existing.blocks)]:
        old_block, new_block = existing.blocks.get(block_id), wanted.blocks.get(block_id)
        if new_block is None:
            lines.append(f"- block {_title(block_id, old_block)}")
        elif old_block is None:
            lines.append(f"+ block {_title(block_id, new_block)}")
        else:
            lines += [
                f"~ block {_title(block_id, new_block)} {change}"
                for change in _changed_values(_filled(old_block, defaults), _filled(new_block, defaults), cleaner)
            ]
    names = {**existing.blocks, **wanted.blocks}
    for sign, edges in (
        ("-", set(existing.edges) - set(wanted.edges)),
        ("+", set(wanted.edges) - set(existing.edges)),
    ):
        for begin, end, condition in sorted(edges, key=str):
            when = f" if {condition}" if condition else ""
            lines.append(f"{sign} edge {_title(begin, names.get(begin))} -> {_title(end, names.get(end))}{when}")
    return [cleaner.message(line) for line in lines]


_ABSENT = object()


def _graph(
    graph: Mapping[str, Any], workflow_id: str, *, is_stored: bool = False
) -> tuple[dict[str, dict[str, Any]], tuple[tuple[str, str, str | None], ...]]:
    faults: list[str] = []
    blocks: dict[str, dict[str, Any]] = {}
    items, links = graph.get("blocks"), graph.get("edges", [])
    if not isinstance(items, list) or not isinstance(links, list):
        raise SixtyfourInputError("workflow_definition should hold a list of blocks and a list of edges.")
    for number, item in enumerate(items):
        if not isinstance(item, Mapping) or not isinstance(item.get("block_name"), str):
            faults.append(f"blocks[{number}] is not an object with a block_name")
            continue
        if not isinstance(item.get("specs", {}), Mapping):
            faults.append(f"blocks[{number}] ({item['block_name']}): specs should be an object")
            continue
        given = item.get("block_id")
        if given is None and item.get("id") is not None and not is_stored:
            faults.append(f"blocks[{number}] ({item['block_name']}): it has an id but no block_id: rename it")
        block_id = _stable_id(f"\x00{number}" if given is None else str(given), workflow_id)
        if block_id in blocks:
            faults.append(f"blocks[{number}] ({item['block_name']}): the block_id {given!r:.60} is taken")
            continue
        sequence = item.get("sequence_number")
        is_number = isinstance(sequence, int) and not isinstance(sequence, bool)
        blocks[block_id] = {
            "sequence_number": sequence if is_number else number + 1,
            "block_type": str(item.get("block_type") or item["block_name"]),
            "block_name": item["block_name"],
            "specs": dict(item.get("specs", {})),
        }
    edges: set[tuple[str, str, str | None]] = set()
    for number, link in enumerate(links):
        if not isinstance(link, Mapping):
            faults.append(f"edges[{number}] is not an object with from_block_id and to_block_id")
            continue
        given_ends = [link.get(key) for key in ("from_block_id", "to_block_id")]
        # By the id that a block gets, so that a UUID is the same one in every spelling.
        begin, end = (None if name is None else _stable_id(str(name), workflow_id) for name in given_ends)
        if begin not in blocks or end not in blocks:
            faults.append(f"edges[{number}] names no block: {given_ends[0 if begin not in blocks else 1]!r:.60}")
            continue
        condition = link.get("condition")
        edges.add((begin, end, str(condition) if condition else None))
    if faults:
        raise SixtyfourInputError("The workflow can't be read:\n" + "\n".join(f"- {fault}" for fault in faults))
    return blocks, tuple(sorted(edges, key=str))


def _stable_id(given: str, workflow_id: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, workflow_id), given))


def _faults_of_shape(wanted: Definition) -> list[str]:
    if not wanted.blocks:
        return ["it has no blocks"]
    waiting_for = {block_id: {b for b, end, _ in wanted.edges if end == block_id} for block_id in wanted.blocks}
    left = dict(waiting_for)
    while ready := [block_id for block_id, before in left.items() if not before & left.keys()]:
        for block_id in ready:
            del left[block_id]
    if left:
        return ["its edges form a cycle through " + ", ".join(_title(key, wanted.blocks[key]) for key in left)]
    return []


def _title(block_id: str, block: Mapping[str, Any] | None) -> str:
    return f"'{block['block_name']}' ({block_id[:8]})" if block else f"({block_id[:8]})"


def _filled(block: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**block, "specs": {**defaults.get(block["block_name"], {}), **block["specs"]}}


def _changed_values(old: Any, new: Any, cleaner: Cleaner, path: str = "") -> list[str]:
    """Walk down to the values that differ, so that a diff names the one value that changed."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            line
            for name in sorted(old.keys() | new.keys())
            for line in _changed_values(old.get(name, _ABSENT), new.get(name, _ABSENT), cleaner, f"{path}.{name}")
        ]
    return [] if _is_same(old, new) else [f"{path[1:]}: {_shown(old, cleaner)} -> {_shown(new, cleaner)}"]


def _is_same(old: Any, new: Any) -> bool:
    """Compare as JSON does: 1 is 1.0, but true is not 1."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_is_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_same, old, new))
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _shown(value: Any, cleaner: Cleaner) -> str:
    if value is _ABSENT:
        return "nothing"
    return cleaner.message(json.dumps(value, ensure_ascii=False, default=str), LONGEST_VALUE)
