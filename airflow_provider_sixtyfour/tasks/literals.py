"""What is known of an operator's parameters when the Dag file is read: what is wrong then is an import error."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

_TEMPLATE_MARKS = ("{{", "{%", "{#")


def is_literal(value: Any) -> bool:
    """
    Return whether a value is the one that the task will have.

    It isn't if it is, or holds, a template or what another task returns; ``None`` is.

    :param value: a parameter, as the Dag file gives it.
    """
    if value is None or isinstance(value, bool | int | float | bytes):
        return True
    if isinstance(value, Mapping):
        return all(is_literal(key) and is_literal(one) for key, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(is_literal, value))
    # What Airflow resolves when the task runs (an XComArg, a parameter of the Dag), or renders within.
    if hasattr(type(value), "iter_references") or hasattr(value, "template_fields"):
        return False
    is_path = hasattr(type(value), "__fspath__") or hasattr(type(value), "protocol")
    text = str(value) if is_path or isinstance(value, str) else ""
    return not any(mark in text for mark in _TEMPLATE_MARKS)


def is_settled(operator: BaseOperator, value: Any) -> bool:
    """
    Return whether a value is the one that this operator will have: a literal that rendering leaves as it is.

    With ``render_template_as_native_obj``, of the task or of its Dag, text that Python can read becomes what it says.
    """
    if not isinstance(value, str):
        return is_literal(value)
    is_native = getattr(operator, "render_template_as_native_obj", None)
    if is_native is None:
        is_native = getattr(operator.get_dag(), "render_template_as_native_obj", False)
    return is_literal(value) and not (is_native and _is_python(value))


def _is_python(text: str) -> bool:
    try:
        ast.literal_eval(text or "None")  # which is what nothing becomes
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def can_check(operator: BaseOperator, kind: type[BaseOperator]) -> bool:
    """
    Return whether a constructor can check its operator's literal parameters at its end.

    It can't where they aren't final: in a class derived from it whose own constructor may set attributes after this
    one's. It needn't in a mapped task, which is made when it runs, and checks what it is given then. And in a Dag whose
    templates are marked in another way, none is known as one.

    :param kind: the class whose constructor it is.
    """
    if getattr(operator, "_BaseOperator__from_mapped", False):
        return False
    if inspect.unwrap(type(operator).__init__) is not inspect.unwrap(kind.__init__):
        return False
    dag = operator.get_dag()
    marks = (getattr(dag, "jinja_environment_kwargs", None) or {}) if dag is not None else {}
    return not any(name.endswith(("_string", "_prefix")) for name in marks)
