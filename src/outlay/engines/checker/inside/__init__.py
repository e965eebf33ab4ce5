"""What runs in the process of a check: nothing here is imported by a run itself. `main` is where it starts."""
