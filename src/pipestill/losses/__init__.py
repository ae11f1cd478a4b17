"""The losses, each a pure function from logits or features to one number per row, with its settings in params.py.

To add one: a module beside this with `per_row`, and `reads` if it reads features; its settings and its place in the
union in params.py; an entry in params.yaml.
"""
