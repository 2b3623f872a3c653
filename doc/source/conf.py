"""How Sphinx builds the documentation."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "extensions"))

project = "Mistral"
release = importlib.metadata.version("mistral")
version = ".".join(release.split(".")[:2])
language = "en"

extensions = ["oslo_config.sphinxext", "tested_example", "language_rows"]
nitpicky = False
exclude_patterns: list[str] = []

html_theme = "alabaster"
html_theme_options = {
    "description": "Workflows that can wait",
    "page_width": "1080px",
    "fixed_sidebar": True,
}
html_static_path = ["static"]
html_css_files = ["rows.css"]
html_copy_source = False
html_show_copyright = False
pygments_style = "sphinx"
# a path of the repository, which is not part of the pages
suppress_warnings: list[str] = []
