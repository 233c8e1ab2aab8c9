"""The site that `make docs` builds of these documents and of the docstrings: Sphinx, without a network."""

import netslim

project = "netslim"
release = version = netslim.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "code"  # as the docstrings use single backticks
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "docs/*.md"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
html_theme = "furo"
html_title = f"netslim {release}"
