"""
How Sphinx builds the documentation, with pydoctor's API reference inside.

Nothing is fetched: what our docstrings refer to outside this package is found by
L{external_names}, and links to where it is documented.
"""

import logging
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from external_names import write_inventories  # noqa: E402 - beside this file, not on the path

project = "wsmultipool"
copyright = "the wsmultipool authors"
author = "the wsmultipool authors"
version = release = (
    (ROOT / "wsmultipool" / "_version.py").read_text(encoding="utf-8").split('"')[-2]
)

extensions = ["sphinx.ext.intersphinx", "pydoctor.sphinx_ext.build_apidocs"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"wsmultipool {release}"
nitpicky = True

inventories = write_inventories(ROOT / "wsmultipool", HERE, HERE / "_build" / "inventories")
intersphinx_mapping = {name: (url, str(file)) for name, (url, file) in inventories.items()}

pydoctor_url_path = "api"
pydoctor_args = [
    "--project-name=wsmultipool",
    f"--project-version={release}",
    f"--project-base-dir={ROOT}",
    "--docformat=epytext",
    "--theme=readthedocs",
    "--html-output={outdir}/api",
    *(f"--intersphinx-file={file}::{url}" for url, file in inventories.values()),
    str(ROOT / "wsmultipool"),
]

# A part of the documentation is whatever pages it has, none being fine.  Sphinx gives this warning
# no type by which it could be suppressed.
logging.getLogger("sphinx.sphinx.directives.other").addFilter(
    lambda record: "toctree glob pattern" not in str(record.msg)
)
