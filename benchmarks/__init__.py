"""
The benchmarks: peers side by side in one run.  C{python -m benchmarks --help}, from the root of the
checkout, or C{tox -e bench}, which installs what they need.
"""
