"""Sources of data sets and models: pinned packages, hub repositories at a commit, the user's own files."""
