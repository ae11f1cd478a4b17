"""The linear baseline: TF-IDF and logistic regression, as the floor for teacher and students."""
