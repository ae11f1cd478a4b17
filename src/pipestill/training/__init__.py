"""Training of teachers and students: what is learned (objective), from whom (signals) and how (trainer)."""
