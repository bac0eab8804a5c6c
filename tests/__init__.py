"""The tests: folders mirror the package's; what several modules share stands at the top."""
