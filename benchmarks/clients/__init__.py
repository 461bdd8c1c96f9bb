"""
The clients in Python that are compared, each behind the same few verbs, and what is measured with
them.  C{python -m benchmarks.clients TASK} runs one measurement in a process of its own.
"""
