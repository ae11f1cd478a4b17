"""How fast, how large and how hungry each form of a model is."""
