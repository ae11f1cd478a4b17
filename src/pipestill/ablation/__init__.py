"""The ablation: every student with every recipe over several seeds, compared in one table."""
