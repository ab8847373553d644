"""The scripts beside the package go with it as it is."""

import ast
from importlib import import_module
from importlib.util import find_spec

import pytest
from support import ROOT

SCRIPTS = sorted(
    file for folder in ("benchmarks", "docs", "examples") for file in ROOT.glob(f"{folder}/**/*.py")
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_each_name_that_a_script_takes_from_the_package_is_there(script):
    for taken in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(taken, ast.ImportFrom) and (taken.module or "").startswith("lift_agent"):
            module = import_module(taken.module)
            for name in (alias.name for alias in taken.names):
                assert hasattr(module, name) or find_spec(f"{taken.module}.{name}"), name
