"""
What happens to messages when things break: a proxy that breaks them, and a ledger that counts.

A run (L{tests.faults.churn}) sends numbered messages (L{tests.faults.numbered}) through a pool,
through a TCP proxy of ours (L{tests.faults.proxy}), to a server in a process of its own that writes
down each message before it does anything else.  A plan drawn from a seed (L{tests.faults.plan})
says what breaks, when.  In the end every message is accounted for (L{tests.faults.ledger}).

C{tests/integration/test_delivery_under_faults.py} does that in little, for each kind of fault.  By
hand, C{python -m tests.faults.table} does it with 100,000 messages and prints a table, and
C{python -m tests.faults.soak} breaks everything at random for minutes.
"""
