"""Sphinx settings: ``python -m sphinx -W docs docs/_build``."""

from antideepfake import __version__

project = "AntiDeepfake for SpeechBrain"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_mock_imports = ["gradio"]  # an extra, which only the page needs
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name the types
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
napoleon_google_docstring = False
myst_heading_anchors = 3
# links to files of the repository, which are not pages here
suppress_warnings = ["myst.xref_missing"]
