"""The student architectures, each built from another classifier, with its settings in params.py.

To add one: a module beside this with `build`; its settings and its place in the union in params.py; an entry in
params.yaml.
"""
