"""Where data sets and models come from: pinned packages, hub repositories at a commit, files of one's own."""
