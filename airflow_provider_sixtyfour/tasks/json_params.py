"""
JSON that an operator's parameter may hold as a value, as text, or as the path of a file.

Airflow's own ``template_ext`` would take any text *inside* the rows for a file if it ends in ``.json``; so only
the whole parameter is ever a path, and the file is read when the task runs.

Invariant: a file is read only if its path is written in the Dag file itself. Whoever may trigger a Dag run, or fill an
XCom, can put any text into a template: it must not make a worker send a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

_MARKS = ("{{", "{%", "{#")


def json_file_parameters(operator: BaseOperator, **parameters: Any) -> frozenset[str]:
    """
    Return the names of those parameters that are paths of ``.json`` files as the Dag file has them.

    To be called by an operator's ``__init__``, before any template is rendered. Airflow also makes an operator when it
    runs a mapped task, out of values that are upstream tasks' as well as the Dag's: there the mapped task itself shows
    which are written in the Dag.
    """
    if not getattr(operator, "_BaseOperator__from_mapped", False):
        return frozenset(name for name, value in parameters.items() if _is_path(value))
    dag = operator.get_dag()
    mapped = dag.task_dict.get(operator.task_id) if dag is not None else None
    written: list[Any] = [dict(getattr(mapped, "partial_kwargs", {}))]
    expanded = getattr(getattr(mapped, "expand_input", None), "value", None)
    if isinstance(expanded, Mapping):
        each = {name: expanded[name] for name in parameters if isinstance(expanded.get(name), list | tuple)}
        written += [{name: value} for name, values in each.items() for value in values]
    return frozenset(
        name
        for name, value in parameters.items()
        if _is_path(value) and any(isinstance(w.get(name), str) and w[name] == value for w in written)
    )


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value.rstrip().endswith(".json") and not any(mark in value for mark in _MARKS)


def read_json(
    operator: BaseOperator, name: str, context: Context, files: frozenset[str], *, may_be_null: bool = False
) -> Any:
    """
    Return the value that an operator's parameter stands for; what isn't text is returned as it is.

    A path that ends in ``.json``, absolute or relative to the Dag's folder (or the Dag's ``template_searchpath``),
    stands for the file's content, rendered as a template; any other text is JSON.

    :param name: the parameter.
    :param files: the parameters that are paths, see `json_file_parameters`.
    :param may_be_null: whether the text ``null`` stands for a parameter that isn't given, not for what is missing.
    :raises SixtyfourInputError: if there is no such file, or the text is no JSON.
    """
    value = getattr(operator, name)
    if not isinstance(value, str):
        return value
    text, origin, hint = value, name, ""
    if name in files:
        text, origin = _rendered(operator, value.strip(), context), f"{name} ({value.strip()})"
    elif value.rstrip().endswith(".json"):
        hint = (
            " It looks like a path, but a file is read only if its path is written in the Dag file itself, without a "
            "template."
        )
    value = parsed(text, origin, hint)
    if value is None and not may_be_null:
        raise _missing(origin, "null")
    return value


def parsed(text: str, origin: str, hint: str = "") -> Any:
    """
    Return the value of a JSON text.

    :param origin: what the text is of, for a message.
    :param hint: what the message ends with, but for the text of a Python value, which has a hint of its own.
    :raises SixtyfourInputError: if it isn't JSON.
    """
    from airflow_provider_sixtyfour.formats.records import BYTE_ORDER_MARK

    if text.strip() in ("", "None"):
        raise _missing(origin, text.strip() or "empty")
    try:
        return json.loads(text.removeprefix(BYTE_ORDER_MARK.decode()))
    except (ValueError, RecursionError) as error:
        reason: object = error
        if not isinstance(error, json.JSONDecodeError):  # the others' words are no help
            is_deep = isinstance(error, RecursionError)
            reason = "it is nested too deeply" if is_deep else "it has a number of more than 4,300 digits"
        if _is_python(text):
            hint = (
                " It is the text of a Python value: pass the upstream task's output itself (task.output), or render it "
                "with the filter tojson ({{ … | tojson }})."
            )
        raise SixtyfourInputError(f"{origin} is not valid JSON: {reason}.{hint}") from None


def _missing(origin: str, what: str) -> SixtyfourInputError:
    return SixtyfourInputError(f"{origin} is {what}: did the upstream task return it?")


def _is_python(text: str) -> bool:
    """Return whether a text looks like Python's of a dict or a list of dicts, as a template renders one."""
    return text.lstrip("[( \n\t").startswith("{'")


def check_given(operator: BaseOperator, names: Iterable[str]) -> None:
    """
    Check that parameters that the Dag gives have a value at run time.

    :param names: the parameters that the Dag gives.
    :raises SixtyfourInputError: if one is None: an upstream task has returned nothing.
    """
    for name in names:
        if getattr(operator, name) is None:
            raise _missing(name, "None")


def _rendered(operator: BaseOperator, path: str, context: Context) -> str:
    import jinja2

    environment = operator.get_template_env()
    try:
        if Path(path).is_absolute():
            template = environment.from_string(Path(path).read_text(encoding="utf-8"))
        else:
            template = environment.get_template(path)
        # Not `render`: in a Dag with `render_template_as_native_obj` that would read the text as Python and give back
        # a dict, or 1 for "1"; here the text itself is wanted.
        return "".join(map(str, template.root_render_func(template.new_context(dict(context)))))
    except jinja2.TemplateNotFound:
        raise SixtyfourInputError(f"There is no file {path!r} in the Dag's folder or template_searchpath.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SixtyfourInputError(f"The file {path!r} can't be read: {reason}.") from None
    except jinja2.TemplateError as error:
        raise SixtyfourInputError(f"The file {path!r} can't be rendered as a template: {error}.") from None
