"""What Airflow reads of this provider without importing any of it."""

from __future__ import annotations

from typing import Any

_PACKAGE = "airflow_provider_sixtyfour"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, for the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-sixtyfour",
        "name": "Sixtyfour",
        # The address last: Airflow's command line shows it without its markup, in the middle of the sentence.
        "description": "Deploy and run Sixtyfour workflows and load their results into object storage. "
        "`Sixtyfour <https://sixtyfour.ai>`__",
        "integrations": [
            {
                "integration-name": "Sixtyfour",
                "external-doc-url": "https://docs.sixtyfour.ai",
                "tags": ["service"],
            },
            # The other end of the transfers; Airflow's own io provider serves it.
            {
                "integration-name": "Object storage",
                "external-doc-url": "https://airflow.apache.org",
                "tags": ["software"],
            },
        ],
        "operators": [
            {
                "integration-name": "Sixtyfour",
                "python-modules": [
                    f"{_PACKAGE}.operators.sixtyfour",
                    f"{_PACKAGE}.operators.batches",
                    f"{_PACKAGE}.operators.enrich",
                    f"{_PACKAGE}.operators.collect",
                    f"{_PACKAGE}.operators.bulk",
                    f"{_PACKAGE}.operators.costs",
                    f"{_PACKAGE}.operators.pilot",
                    f"{_PACKAGE}.operators.budget",
                    f"{_PACKAGE}.operators.approval",
                    f"{_PACKAGE}.operators.housekeeping",
                ],
            },
        ],
        "sensors": [
            {
                "integration-name": "Sixtyfour",
                "python-modules": [f"{_PACKAGE}.sensors.sixtyfour", f"{_PACKAGE}.sensors.bulk"],
            },
        ],
        "hooks": [{"integration-name": "Sixtyfour", "python-modules": [f"{_PACKAGE}.hooks.sixtyfour"]}],
        "triggers": [
            {
                "integration-name": "Sixtyfour",
                "python-modules": [f"{_PACKAGE}.triggers.sixtyfour", f"{_PACKAGE}.triggers.runs_ended"],
            }
        ],
        "transfers": [
            {
                "source-integration-name": "Sixtyfour",
                "target-integration-name": "Object storage",
                "python-module": f"{_PACKAGE}.transfers.sixtyfour_to_object_storage",
            },
            {
                "source-integration-name": "Object storage",
                "target-integration-name": "Sixtyfour",
                "python-module": f"{_PACKAGE}.transfers.object_storage_to_sixtyfour",
            },
        ],
        "task-decorators": [
            {"name": "sixtyfour", "class-name": f"{_PACKAGE}.decorators.sixtyfour.sixtyfour_task"},
        ],
        "extra-links": [
            f"{_PACKAGE}.links.sixtyfour.SixtyfourRunLink",
            f"{_PACKAGE}.links.sixtyfour.SixtyfourWorkflowLink",
        ],
        "connection-types": [
            {
                "connection-type": "sixtyfour",
                "hook-class-name": f"{_PACKAGE}.hooks.sixtyfour.SixtyfourHook",
                "hook-name": "Sixtyfour",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "host": "Base URL",
                        "login": "OAuth client id",
                        "password": "API key",
                    },
                    "placeholders": {
                        "host": "https://api.sixtyfour.ai",
                        "login": "only for an OAuth client, instead of an API key",
                        "password": "leave empty for an OAuth client",
                    },
                },
                "conn-fields": {
                    "key_id": _text("OAuth key id", "Names the client's key to the API (the assertion's kid)."),
                    "private_key": _text(
                        "OAuth private key", "RSA private key of the OAuth client, PEM.", format="password"
                    ),
                    "private_key_path": _text(
                        "OAuth private key file", "Path of that key on the workers and triggerers, instead."
                    ),
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds for a call as a whole; of a file, for each chunk. Default 60.",
                        "schema": {"type": ["number", "null"]},
                    },
                    "requests_per_minute": {
                        "label": "Requests a minute",
                        "description": "What one triggerer may send while it waits for runs. Default 360, of the API's "
                        "500 for a key.",
                        "schema": {"type": ["number", "null"]},
                    },
                    "verify": _text(
                        "Verify TLS", "true, false, or the path of a CA bundle to check the certificate with."
                    ),
                    "webhook_secret": _text(
                        "Webhook signing secret",
                        "Checks webhooks to /sixtyfour/webhooks/<connection id>. During a rotation a JSON list of two.",
                        format="password",
                    ),
                    "allow_unsigned": {
                        "label": "Allow unsigned webhooks",
                        "description": "Accept webhooks without a signature, from whoever sends them.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                },
            }
        ],
        "cli": [f"{_PACKAGE}.cli.airflow_command.get_cli_commands"],  # Airflow 3.2 and later
        "config": {
            "sixtyfour": {
                "description": "The provider for Sixtyfour.",
                "options": {
                    "ui_tabs": {
                        "description": "Where the tab Sixtyfour is to be seen in the UI (Airflow 3.1 and later): "
                        "dag_run, task, task_instance, nav, several with commas. Empty switches it off.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "dag_run,task",
                        "default": "dag_run",
                    },
                },
            },
        },
    }


def _text(label: str, description: str, **schema: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}
