"""Taking trained weights apart, so that a student can be made of the pieces: which layers, which directions."""
