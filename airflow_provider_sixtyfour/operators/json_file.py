"""
JSON that an operator's parameter may hold as a value, as text, or as the path of a file.

Airflow's own ``template_ext`` would take any text *inside* the rows for a file if it ends in ``.json``; so only
the whole parameter is ever a path, and the file is read when the task runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context


def read_json_file(operator: BaseOperator, value: Any, context: Context, name: str) -> Any:
    """
    Return the value that ``value`` stands for; what isn't text is returned as it is.

    :param value: a path that ends in ``.json``, absolute or relative to the Dag's folder (or the Dag's
        ``template_searchpath``), whose content is rendered as a template; or JSON text.
    :param name: the parameter, for a message.
    :raises SixtyfourInputError: if there is no such file, or the text is no JSON.
    """
    if not isinstance(value, str):
        return value
    text, origin = value, name
    if value.rstrip().endswith(".json"):
        text, origin = _rendered(operator, value.strip(), context), f"{name} ({value.strip()})"
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SixtyfourInputError(f"{origin} is not valid JSON: {error}.") from None


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
