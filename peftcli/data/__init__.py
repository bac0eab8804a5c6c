"""From a task's name to tokenised examples: where its rows are, what they hold, how they are divided. No torch."""
