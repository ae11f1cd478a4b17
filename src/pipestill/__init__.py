"""pipestill turns labelled text into a small, fast, versioned classifier."""
