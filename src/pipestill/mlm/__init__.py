"""Task-agnostic distillation: a masked language model teaches a smaller one, which is then fine-tuned for any task."""
