"""Task-agnostic distillation: a masked language model teaches a smaller one, which then learns any task."""
