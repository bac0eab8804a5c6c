"""From a task's name to tokenised examples: where rows are, what they hold, how they are cut. No torch."""
