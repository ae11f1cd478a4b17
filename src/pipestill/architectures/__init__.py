"""Modules of our own, each a transformers model in a file named like its `model_type`.

Importing such a file registers its classes with transformers; `load_classifier` imports the one that a config names.
"""
