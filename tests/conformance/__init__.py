"""
The cases of the Autobahn TestSuite, run through the pool and, beside it, through plain Autobahn.

C{test_*.py} run in every test run, against C{kosoku}; C{python -m tests.conformance} runs the
original, by hand.
"""
