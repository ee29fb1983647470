"""How the documentation is built: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate

from airflow_provider_sixtyfour import __version__

project = "airflow-provider-sixtyfour"
author = "the airflow-provider-sixtyfour developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_generated"]  # included by pages, none of their own
myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 3
default_role = "literal"  # in docstrings

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what a parameter may be
autodoc_default_options = {"show-inheritance": False}
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"Sixtyfour for Apache Airflow {release}"
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = "$ "

generate.pages(Path(__file__).parent / "_generated")
