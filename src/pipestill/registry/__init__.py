"""The registry: the report's champion as a version of a model in MLflow, and the link between versions and releases.

It stands above the reports that it reads. No stage imports it.
"""
