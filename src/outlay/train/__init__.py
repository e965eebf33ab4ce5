"""Training scripts; the only place besides `local` that imports torch."""
