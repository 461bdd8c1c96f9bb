"""
Measurements: run one by C{python -m benchmarks NAME}, from the root of the checkout.
"""
