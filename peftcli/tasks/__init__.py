"""What can be asked of a model: tasks, their metrics, and data of the reader's own. No torch."""
