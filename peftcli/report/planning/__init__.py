"""What a study would have to be to find a difference: its pairs, their deviations, the seeds and the hours they take."""
