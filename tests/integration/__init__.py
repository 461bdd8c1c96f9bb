"""
The pool against real servers over loopback.

C{test_*.py} hold the tests, one idea each; the other modules are the servers they need, from
Node's C{ws} to servers that misbehave in one particular way.
"""
