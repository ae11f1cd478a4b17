"""The ablation: every student with every recipe over several seeds, measured alike and put into one table."""
