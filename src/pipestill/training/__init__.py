"""Training of teachers and students: losses (objective), sources of targets (signals) and the loop (trainer)."""
