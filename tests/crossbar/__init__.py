"""
Pools behind a real Crossbar.io node, on loopback: C{tox -e crossbar}.

The node has a virtual environment of its own, as it pins what nobody else does; the environment
variable C{WSMULTIPOOL_CROSSBAR} names its executable.  Without that, nothing here is collected.
"""
